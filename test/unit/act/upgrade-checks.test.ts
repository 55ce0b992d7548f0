import assert from 'node:assert/strict';
import { UpgradeChecks, type UpgradeChecksParts, type VerifyOrder } from '../../../src/act/upgrade-checks.ts';
import { Failure } from '../../../src/base/failure.ts';
import { initialState, NEW_SANDBOX, type PluginState } from '../../../src/decide/plugin-state.ts';
import type { Upgrade } from '../../../src/decide/upgrade.ts';
import { examplePlan } from '../../support/plans.ts';

const MIB = 1 << 20;

function order(plugin: string, memoryMax: number | 'infinity', fields: Partial<VerifyOrder> = {}): VerifyOrder {
  const from = { ...examplePlan({ limits: { memoryMax } }), plugin };
  const plan = { ...from, version: 'v2' };
  return { kind: 'verify', id: `${plugin}-u1`, upgrade: 'upgrade', plan, from, surge: 2, force: false, ...fields };
}

/** A plugin whose change stands at this step, and has sandboxes of the new side. */
function state({ plan, id }: VerifyOrder, step: Upgrade['step'], sandboxes = 0): PluginState {
  const upgrade = { id, plan, way: 'beside', step, slot: 'b' } as Upgrade;
  const entries = Array.from({ length: sandboxes }, (_, index) => {
    const unit = `plugin-${plan.plugin}-b-g${index}.service`;
    const own = { unit, slot: 'b', generation: index, digest: '', limits: '', life: 'ready', readyAt: 0 } as const;
    return [unit, { ...NEW_SANDBOX, ...own, learning: false }] as const;
  });
  return { ...initialState(plan.plugin), upgrade, sandboxes: new Map(entries) };
}

function checks(states: PluginState[], parts: Partial<UpgradeChecksParts> = {}): UpgradeChecks {
  return new UpgradeChecks({
    commands: { run: async () => ({ status: 0, text: 'exit status 0' }), forget: async () => {} },
    verifyVersion: async () => {},
    states: () => states,
    memoryUsed: () => 0,
    memoryAvailable: () => 100 * MIB,
    ...parts,
  });
}

describe('what is looked at before a second side is started', () => {
  it('is the digest of both versions, and of a rollback only its own', async () => {
    const verified: string[] = [];
    const verifyVersion = async (plugin: string, version: string) => void verified.push(`${plugin} ${version}`);
    await checks([], { verifyVersion }).verify(order('hello', MIB));
    assert.deepEqual(verified, ['hello v2', 'hello v1']);
    verified.length = 0;
    const commands: UpgradeChecksParts['commands'] = {
      run: () => assert.fail('a rollback is not asked for a check'),
      forget: async () => {},
    };
    const back = order('hello', 1000 * MIB, { upgrade: 'rollback' });
    await checks([], { verifyVersion, commands }).verify(back);
    assert.deepEqual(verified, ['hello v2']);
  });

  it('is the way back: one that is damaged is left only by force, and that it was is told', async () => {
    const verifyVersion = async (_: string, version: string) => {
      if (version === 'v1') throw new Failure('BH212', `'main' was another one`);
    };
    await assert.rejects(checks([], { verifyVersion }).verify(order('hello', MIB)), (thrown) => {
      assert.ok(thrown instanceof Failure);
      assert.equal(thrown.code, 'BH212');
      assert.match(thrown.message, /^'main' was another one; it is what serves, .*"bulkheadctl upgrade hello --force"/);
      return true;
    });
    const borne = await checks([], { verifyVersion }).verify(order('hello', MIB, { force: true }));
    assert.deepEqual([borne?.code, borne?.message], ['BH212', "'main' was another one"]);
    assert.equal(await checks([]).verify(order('hello', MIB, { force: true })), undefined);
    // What is to come has to be whole, whatever is asked for.
    const bad = order('hello', MIB, { force: true, plan: { ...examplePlan({}), version: 'v1' } });
    await assert.rejects(checks([], { verifyVersion }).verify(bad), Failure);
  });

  it('is a command, which is told what is to be done, and may say no', async () => {
    const asked: unknown[] = [];
    const plan = examplePlan({ upgrade: { check: ['/bin/check', '--all'], checkTimeoutMs: 5000 } });
    const wanted = order('hello', MIB, { plan: { ...plan, version: 'v2' } });
    const commands: UpgradeChecksParts['commands'] = {
      run: async (command) => {
        asked.push(command);
        return { status: 3, text: 'exit status 3' };
      },
      forget: async (command) => void asked.push(command),
    };
    await assert.rejects(checks([], { commands }).verify(wanted), /^Failure: '\/bin\/check': exit status 3$/);
    const command = {
      upgrade: 'hello-u1',
      words: ['/bin/check', '--all'],
      timeoutMs: 5000,
      environment: { BULKHEAD_PLUGIN: 'hello', BULKHEAD_VERSION: 'v2', BULKHEAD_FROM: 'v1' },
    };
    assert.deepEqual(asked, [command, command]);
  });

  describe('is room in memory', () => {
    const refusal = async (work: Promise<unknown>): Promise<string> => {
      try {
        await work;
      } catch (thrown) {
        assert.ok(thrown instanceof Failure);
        return thrown.line;
      }
      return 'none';
    };

    it('for so many sandboxes as there may be beside the old ones, with numbers where there is none', async () => {
      assert.equal(await refusal(checks([]).verify(order('hello', 50 * MIB))), 'none');
      const text = await refusal(checks([]).verify(order('hello', 51 * MIB)));
      assert.match(text, /^BH431 .*'hello': 2 sandboxes more may take 102M, and 100M are available$/);
    });

    it('which two that are let through at once are not both promised', async () => {
      const one = order('one', 30 * MIB);
      const two = order('two', 30 * MIB);
      const both = checks([state(one, 'verifying'), state(two, 'verifying')]);
      const results = await Promise.all([refusal(both.verify(one)), refusal(both.verify(two))]);
      assert.equal(results[0], 'none');
      assert.match(results[1], /^BH431 .*'two': .* 60M, and 100M are available, 60M of it for changes of 'one'$/);
    });

    it('less what another second side still may take, which a supervisor finds after its restart, too', async () => {
      const other = order('other', 30 * MIB);
      const wanted = order('hello', 30 * MIB);
      const grown = { memoryUsed: () => 20 * MIB };
      assert.match(await refusal(checks([state(other, 'canary')]).verify(wanted)), /60M of it for changes of 'other'/);
      assert.equal(await refusal(checks([state(other, 'canary', 2)], grown).verify(wanted)), 'none');
      assert.equal(await refusal(checks([state(other, 'draining')]).verify(wanted)), 'none');
      assert.equal(await refusal(checks([state(other, 'planning')]).verify(wanted)), 'none');
    });

    it('and is not asked for where nothing limits a sandbox', async () => {
      assert.equal(await refusal(checks([]).verify(order('hello', 'infinity'))), 'none');
    });
  });
});
