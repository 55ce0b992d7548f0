import assert from 'node:assert/strict';
import { upgradeReport } from '../../../src/control/upgrade-report.ts';
import { initialState, NEW_SANDBOX, type PluginState, type SandboxEntry } from '../../../src/decide/plugin-state.ts';
import type { Upgrade, UpgradeOutcome } from '../../../src/decide/upgrade.ts';
import { examplePlan } from '../../support/plans.ts';

const UPGRADE: Upgrade = {
  id: 'hello-u3',
  kind: 'upgrade',
  by: 'uid 0',
  why: undefined,
  way: 'beside',
  from: 'v1',
  to: 'v2',
  declared: 'v1',
  plan: { ...examplePlan({ size: 4 }), version: 'v2' },
  slot: 'b',
  step: 'canary',
  stages: [25, 100],
  stage: 0,
  bakeMs: 10_000,
  rung: { old: 4, new: 1, weight: 25 },
  rungSince: 0,
  weight: 25,
  weighed: true,
  since: 1000,
  stepSince: 2000,
  stageSince: 5000,
  tries: 0,
  triedAt: 0,
  deaths: 0,
  notBefore: 0,
  undo: undefined,
  incident: undefined,
  ending: false,
  options: {},
  signals: undefined,
};

function entry(slot: 'a' | 'b', n: number, fields: Partial<SandboxEntry> = {}): SandboxEntry {
  const unit = `plugin-hello-${slot}-g${n}.service`;
  const own = { unit, slot, generation: n, digest: 'd1', limits: 'l1', life: 'ready', readyAt: 0 } as const;
  return { ...NEW_SANDBOX, ...own, learning: false, ...fields };
}

function state(upgrade: Upgrade | undefined, ...entries: SandboxEntry[]): PluginState {
  const sandboxes = new Map(entries.map((each) => [each.unit, each]));
  return { ...initialState('hello'), phase: 'on', plan: examplePlan({ size: 4 }), upgrade, sandboxes };
}

const OLD = [entry('a', 1), entry('a', 2), entry('a', 3), entry('a', 4, { life: 'starting' })];

describe('what is told of changes of version', () => {
  it('is nothing where there are none', () => {
    const none = { upgrade: null, lastUpgrade: null, previousVersion: null, failedVersions: [] };
    assert.deepEqual(upgradeReport(state(undefined), 0), none);
  });

  it('is both sides with what they are to have, and the times', () => {
    const beside = [entry('b', 5), entry('b', 6, { standby: true }), entry('b', 7, { life: 'stopping' })];
    const { upgrade } = upgradeReport(state(UPGRADE, ...OLD, ...beside), 9000);
    assert.ok(upgrade !== null);
    assert.deepEqual([upgrade.sinceMs, upgrade.stepSinceMs], [8000, 4000]);
    assert.deepEqual(upgrade.old, { slot: 'a', version: 'v1', weight: 75, ready: 3, wanted: 4, signals: null });
    assert.deepEqual(upgrade.new, { slot: 'b', version: 'v2', weight: 25, ready: 1, wanted: 1, signals: null });
    assert.equal(upgrade.line, 'v1 -> v2: canary 25 %, 4 s of 10 s');
  });

  it('gives no side a share that is not in force yet', () => {
    const { upgrade } = upgradeReport(state({ ...UPGRADE, weighed: false }, ...OLD), 9000);
    assert.deepEqual([upgrade?.old.weight, upgrade?.new.weight], [100, 0]);
  });

  it('has the new side live while the old one drains', () => {
    const draining = { ...UPGRADE, step: 'draining', plan: undefined, weight: 0 } as const;
    const { upgrade } = upgradeReport({ ...state(draining, entry('b', 5)), slot: 'b' }, 9000);
    assert.deepEqual([upgrade?.old.weight, upgrade?.old.wanted], [0, 0]);
    assert.deepEqual([upgrade?.new.weight, upgrade?.new.ready], [100, 1]);
  });

  it('has one side in place, whose version is switched', () => {
    const upgrade = { ...UPGRADE, way: 'in-place', slot: 'a', step: 'switching' } as const;
    const before = upgradeReport(state(upgrade, ...OLD), 9000).upgrade;
    assert.deepEqual([before?.old.weight, before?.old.ready, before?.new.ready], [100, 3, 0]);
    const after = upgradeReport(state({ ...upgrade, step: 'baking' }, ...OLD), 9000).upgrade;
    assert.deepEqual([after?.new.weight, after?.new.ready, after?.old.ready], [100, 3, 0]);
    assert.equal(after?.old.slot, after?.new.slot);
  });

  it('has null for what is not known', () => {
    const last: UpgradeOutcome = {
      id: 'hello-u2',
      kind: 'reload',
      by: 'reload',
      why: undefined,
      from: undefined,
      to: undefined,
      outcome: 'refused',
      reason: { code: 'BH428', text: 'it failed before' },
      incident: undefined,
      judgement: undefined,
      at: 7,
      live: undefined,
    };
    const failed = {
      digest: 'd2',
      version: undefined,
      at: 6,
      reason: { code: 'BH322', text: 'errors' },
      incident: undefined,
    } as const;
    const report = upgradeReport({ ...state(undefined), lastUpgrade: last, failedPlans: [failed] }, 0);
    assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
    assert.deepEqual([report.lastUpgrade?.from, report.lastUpgrade?.why, report.lastUpgrade?.rows], [null, null, []]);
    assert.deepEqual(report.failedVersions, [{ ...failed, version: null, incident: null }]);
  });
});
