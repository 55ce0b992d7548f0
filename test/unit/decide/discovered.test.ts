import assert from 'node:assert/strict';
import { discovered, nextScore } from '../../../src/decide/discovered.ts';
import type { Order } from '../../../src/decide/order.ts';
import type { UpgradeStep } from '../../../src/decide/upgrade.ts';
import type { PluginPlan } from '../../../src/plan/plan.ts';
import { examplePlan, type PlanWishes } from '../../support/plans.ts';
import { SimulatedMachine } from './simulated-machine.ts';
import { UpgradeHost } from './upgrade-host.ts';

const RPC = { user: 'root', group: 'root', mode: 0o660 };
const unit = (generation: number): string => `plugin-hello-a-g${generation}.service`;

function started(wishes: PlanWishes = {}): SimulatedMachine {
  return new SimulatedMachine(examplePlan({ rpc: RPC, ...wishes })).started();
}

/** What is told, in short: `1 a v1 ready 100 100`. */
function told({ state, now }: Pick<SimulatedMachine, 'state' | 'now'>): string[] {
  return discovered(state, now).map((each) =>
    [each.generation, each.slot, each.version, each.state, each.score, each.weight].join(' '),
  );
}

const crashes = (orders: readonly Order[]) => orders.filter((order) => order.kind === 'crashed');

describe('what callers are told', () => {
  it('is nothing of a plugin that takes no calls, and of sandboxes that only start', () => {
    assert.deepEqual(told(new SimulatedMachine(examplePlan()).started()), []);
    const machine = new SimulatedMachine(examplePlan({ rpc: RPC }));
    machine.observe({ kind: 'wanted', invocation: 'i1', automatic: false });
    assert.deepEqual(told(machine), []);
    machine.observe({ kind: 'became-ready', unit: unit(2) });
    assert.deepEqual(told(machine), ['2 a v1 ready 100 100']);
  });

  it('is who waits as a standby, who takes its place, and who is out of traffic', () => {
    const machine = started({ size: 1, standby: 1 });
    assert.deepEqual(told(machine), ['1 a v1 ready 100 100', '2 a v1 standby 100 100']);
    machine.observe({ kind: 'exited', unit: unit(1), exit: { how: 'killed', status: 9 } });
    assert.deepEqual(told(machine), ['2 a v1 ready 100 100']);
    const asked = started({ size: 1, health: { readiness: probe() } });
    assert.deepEqual(told(asked), ['1 a v1 shut 100 100'], 'it was not asked yet');
    for (const passes of [true, false]) {
      asked.observe({ kind: 'probed', unit: unit(1), probe: 'readiness', passes, text: '' });
      // One stays in, whatever it looks like.
      assert.deepEqual(told(asked), ['1 a v1 ready 100 100']);
    }
  });

  it('is a score that falls with deaths, and rises by itself when they are long ago', () => {
    const machine = started({ size: 1, restarts: 50 });
    for (const generation of [1, 2]) {
      machine.die(unit(generation));
      machine.pass(1000);
      machine.observe({ kind: 'became-ready', unit: unit(generation + 1) });
    }
    assert.deepEqual(told(machine), ['3 a v1 ready 70 100']);
    const at = nextScore(machine.state, machine.now) ?? 0;
    assert.ok(at > machine.now && at <= machine.now + 60_000);
    assert.match(
      discovered(machine.state, at)
        .map(({ score }) => score)
        .join(),
      /^100$/,
    );
    assert.equal(nextScore(started().state, 0), undefined);
  });

  it('is that one is on its way out before it is asked to stop', () => {
    const machine = started();
    machine.observe({ kind: 'unwanted' });
    assert.deepEqual(told(machine), ['1 a v1 draining 100 100', '2 a v1 draining 100 100']);
  });

  it('is a share for each side of an upgrade, and the old side on its way out', () => {
    const seen = upgrade(plan('v1', 'd1', true), plan('v2', 'd2', true));
    assert.deepEqual(seen.get('canary'), ['1 a v1 ready 100 95', '2 b v2 ready 100 5']);
    assert.deepEqual(
      seen.get('draining')?.map((line) => line.replace(/ 100 /, ' ')),
      ['1 a v1 draining 0', '2 b v2 ready 100'],
    );
  });

  it('is all for the side that takes calls, where the other one takes none', () => {
    const begins = upgrade(plan('v1', 'd1', false), plan('v2', 'd2', true));
    assert.deepEqual(begins.get('canary'), ['2 b v2 ready 100 100']);
    const ends = upgrade(plan('v1', 'd1', true), plan('v2', 'd2', false));
    assert.deepEqual(ends.get('canary'), ['1 a v1 ready 100 100']);
  });
});

describe('a crash token', () => {
  it('names generation, class and incident, and comes before all that takes time', () => {
    const machine = started({ size: 1, standby: 1 });
    machine.observe({ kind: 'exited', unit: unit(1), exit: { how: 'dumped', status: 11 } });
    const { orders } = machine;
    const [incident] = machine.incidents;
    assert.deepEqual(crashes(orders), [
      {
        kind: 'crashed',
        unit: unit(1),
        generation: 1,
        class: 'crash',
        text: 'killed by SIGSEGV (core dumped)',
        incident: incident?.id,
      },
    ]);
    const kinds = orders.map(({ kind }) => kind);
    assert.equal(kinds[0], 'gate', kinds.join(' '));
    assert.equal(kinds[1], 'crashed', kinds.join(' '));
  });

  it('has the incident that is open for the same failure', () => {
    const machine = started({ restarts: 50 });
    for (const generation of [1, 2]) {
      machine.observe({ kind: 'exited', unit: unit(generation), exit: { how: 'killed', status: 9 } });
      assert.deepEqual(
        crashes(machine.orders).map(({ incident }) => incident),
        [machine.incidents[0]?.id],
      );
    }
    assert.equal(machine.incidents.length, 1);
  });

  it('is told of one that is ill and was killed for it, once', () => {
    const machine = started();
    const verdict = { class: 'hang', kind: 'blocked', confidence: 1, text: 'it hangs' } as const;
    machine.observe({
      kind: 'diagnosed',
      unit: unit(1),
      verdict: { ...verdict, evidence: [], excuses: [], traceIds: [] },
    });
    assert.deepEqual(crashes(machine.orders), []);
    machine.observe({ kind: 'exited', unit: unit(1), exit: { how: 'killed', status: 9 } });
    const [only, ...more] = crashes(machine.orders);
    assert.deepEqual([only?.class, only?.text, only?.incident], ['hang', 'it hangs', machine.incidents[0]?.id]);
    assert.deepEqual(more, []);
    machine.observe({ kind: 'cleared', unit: unit(1) });
    assert.deepEqual(crashes(machine.orders), []);
  });

  it('is not told of one that was asked to stop, nor of one that never was there', () => {
    const machine = started();
    machine.observe({ kind: 'unwanted' });
    machine.observe({ kind: 'exited', unit: unit(1), exit: { how: 'exited', status: 0 } });
    assert.deepEqual(crashes(machine.orders), []);
    const starts = new SimulatedMachine(examplePlan({ rpc: RPC }));
    starts.observe({ kind: 'wanted', invocation: 'i1', automatic: false });
    starts.observe({ kind: 'start-failed', unit: unit(1), reason: { code: 'BH302', text: 'no' } });
    assert.deepEqual(crashes(starts.orders), []);
  });
});

function probe() {
  return { kind: 'http', everyMs: 1000, timeoutMs: 1000, misses: 3, passes: 1, path: '/' } as const;
}

function plan(version: string, digest: string, takesCalls: boolean): PluginPlan {
  const { upgrade: defaults } = examplePlan().declaration;
  const settings = { ...defaults, canary: [5], bakeMs: 1500, drainMs: 2000 };
  return { ...examplePlan({ size: 1, digest, upgrade: settings, ...(takesCalls ? { rpc: RPC } : {}) }), version };
}

/** What is told at the end of each step of an upgrade from one plan to another one. */
function upgrade(before: PluginPlan, after: PluginPlan): Map<UpgradeStep, string[]> {
  const seen = new Map<UpgradeStep, string[]>();
  const host = new UpgradeHost([before, after], { v1: {}, v2: {} });
  host.wanted().live(3000);
  host.observe({ kind: 'upgrade-asked', version: 'v2', by: 'uid 0', why: undefined, options: {} });
  host.live(20_000, () => {
    const step = host.state.upgrade?.step;
    const isShared = step !== 'canary' || host.state.upgrade?.weighed === true;
    if (step !== undefined && isShared && !(step === 'canary' && seen.has(step))) seen.set(step, told(host));
  });
  return seen;
}
