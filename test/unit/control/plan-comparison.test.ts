import assert from 'node:assert/strict';
import type { PlanReport } from '../../../src/control/api.ts';
import { compareWithPlan } from '../../../src/control/plan-comparison.ts';
import { renderPlan } from '../../../src/control/render/plan-view.ts';
import { initialState, NEW_SANDBOX, type PluginState } from '../../../src/decide/plugin-state.ts';
import { examplePlan } from '../../support/plans.ts';

const PLAN = examplePlan();

function running(fields: Partial<PluginState> = {}): PluginState {
  const sandboxes = ['g1', 'g2'].map((name, generation) => {
    const unit = `plugin-hello-a-${name}.service`;
    const own = { unit, slot: 'a', generation, digest: 'd1', limits: 'l1', life: 'ready', readyAt: 0 } as const;
    return [unit, { ...NEW_SANDBOX, ...own, learning: false }] as const;
  });
  return { ...initialState('hello'), phase: 'on', plan: PLAN, sandboxes: new Map(sandboxes), ...fields };
}

function shown(comparison: Pick<PlanReport, 'differences' | 'reload'>): string {
  const report = { plugin: 'hello', version: 'v1', digest: 'd', sections: [], compared: true, ...comparison };
  return renderPlan(report, { columns: 200, colour: false });
}

describe('what runs beside the plan', () => {
  it('is the same, and a reload has nothing to do', () => {
    const comparison = compareWithPlan(running(), PLAN);
    assert.deepEqual(comparison, { differences: [], reload: { way: null, refused: null } });
    assert.match(shown(comparison), /difference to what runs\n {2}none\n$/);
  });

  it('is nothing', () => {
    const comparison = compareWithPlan(undefined, PLAN);
    assert.deepEqual(comparison, { differences: ['nothing runs; 2 would be started'], reload: null });
  });

  it('is of another version, which a reload starts beside it', () => {
    const next = {
      ...examplePlan({ digest: 'd2' }),
      version: 'v2',
      declaration: { ...PLAN.declaration, version: 'v2' },
    };
    const comparison = compareWithPlan(running(), next);
    assert.equal(comparison.reload?.way, 'beside');
    const text = shown(comparison);
    assert.match(text, /version: v1 becomes v2; a reload starts new sandboxes beside the old ones$/m);
    assert.match(text, /in all, "systemctl reload plugin@hello": new sandboxes come beside the old ones, /);
  });

  it('is what a reload does not try, because it failed before', () => {
    const next = {
      ...examplePlan({ digest: 'd2' }),
      version: 'v2',
      declaration: { ...PLAN.declaration, version: 'v2' },
    };
    const reason = { code: 'BH322', text: 'errors' } as const;
    const failed = { digest: 'd2', version: 'v2', at: 0, reason, incident: undefined };
    const comparison = compareWithPlan(running({ failedPlans: [failed] }), next);
    assert.equal(comparison.reload?.refused, 'it failed before: BH322 errors');
    assert.match(shown(comparison), /it failed before: BH322 errors; "bulkheadctl upgrade hello --force" does$/m);
    const other = compareWithPlan(running({ failedPlans: [{ ...failed, version: 'v3' }] }), next);
    assert.equal(other.reload?.refused, null);
  });
});
