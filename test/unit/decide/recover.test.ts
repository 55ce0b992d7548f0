import assert from 'node:assert/strict';
import type { FailureClass } from '../../../src/base/failure-class.ts';
import { inTraffic, readyOnes, standbys } from '../../../src/decide/plugin-state.ts';
import { remember, restoreState } from '../../../src/decide/restore.ts';
import { statusLine, visibleState } from '../../../src/decide/status-line.ts';
import type { Step } from '../../../src/declare/recovery.ts';
import type { Verdict } from '../../../src/diagnose/verdict.ts';
import { examplePlan, type PlanWishes } from '../../support/plans.ts';
import { SimulatedMachine } from './simulated-machine.ts';

const unit = (generation: number): string => `plugin-hello-a-g${generation}.service`;
const [A1, A2, A3, A4] = [unit(1), unit(2), unit(3), unit(4)];

function verdict(of: FailureClass, kind?: string): Verdict {
  return { class: of, kind, confidence: 1, text: 'it is so', evidence: [], excuses: [], traceIds: [] };
}

const step = (kind: 'restart' | 'replace' | 'recycle' | 'freeze' | 'quarantine' | 'notify', more = {}): Step => ({
  kind,
  delayMs: 0,
  times: 'any',
  risky: false,
  ...more,
});

/** What a new supervisor finds of a sandbox that serves. */
const FOUND = {
  slot: 'a' as const,
  digest: 'd1',
  limits: 'l1',
  learning: false,
  life: 'ready' as const,
  isThere: true,
  readyAt: 0,
};

function started(wishes: PlanWishes = {}): SimulatedMachine {
  return new SimulatedMachine(examplePlan(wishes)).started();
}

describe('recovery of a death', () => {
  it('opens an incident before anything that destroys its evidence, and says what was done', () => {
    const machine = started();
    machine.observe({ kind: 'exited', unit: A1, exit: { how: 'dumped', status: 11 } });
    const kinds = machine.orders.map(({ kind }) => kind);
    assert.ok(kinds.indexOf('incident') < kinds.indexOf('clear'), kinds.join(' '));
    const [incident] = machine.incidents;
    assert.equal(incident?.verdict.class, 'crash');
    assert.equal(incident?.verdict.kind, 'SIGSEGV');
    assert.equal(incident?.unit, A1);
    assert.equal(incident?.action, `start ${A3}`);
    assert.deepEqual(incident?.step, { index: 0, of: 2, kind: 'replace' });
    assert.match(incident?.id ?? '', /^\d{8}T\d{6}-hello-1$/);
    machine.now += 300;
    machine.observe({ kind: 'became-ready', unit: A3 });
    assert.deepEqual(machine.over, [], 'it may die at once');
    machine.pass(1000);
    assert.deepEqual(machine.over, [`${incident?.id} recovered after 300ms`]);
    assert.deepEqual(machine.state.recoveries, { over: 1, alone: 1, aloneMs: 300 });
  });

  it('is one incident, whatever dies of the same', () => {
    const machine = started({ size: 16 });
    for (const dead of machine.unitsIn('ready')) machine.die(dead);
    assert.equal(machine.incidents.length, 1);
    assert.equal(machine.steps.length, 15);
    machine.observe({ kind: 'exited', unit: machine.unitsIn('starting')[0] ?? '', exit: { how: 'exited', status: 1 } });
    assert.equal(machine.incidents.length, 2);
  });

  it('goes on to the next step when one was taken as often as declared, and ends in quarantine', () => {
    const crash = [step('replace', { times: 2 }), step('restart', { times: 1, delayMs: 5000 }), step('quarantine')];
    const machine = started({ size: 1, restarts: 50, chains: { crash } });
    const kinds: string[] = [];
    for (let n = 0; n < 10 && machine.state.phase === 'on'; n++) {
      for (const ready of machine.unitsIn('ready')) machine.die(ready, 11);
      kinds.push(machine.incidents.at(-1)?.step.kind ?? '');
      if (kinds.length === 3) assert.equal(machine.wakeAt, machine.now + 5000);
      machine.pass(5000);
      for (const one of machine.unitsIn('starting')) machine.observe({ kind: 'became-ready', unit: one });
      machine.pass(1000);
    }
    assert.deepEqual(kinds, ['replace', 'replace', 'restart', 'quarantine']);
    assert.equal(machine.state.quarantined, true);
    assert.match(statusLine(machine.state), /^failed, in quarantine: BH304 .*SIGSEGV/);
    assert.equal(machine.told.at(-1), 'failed BH304');
  });

  it('makes one incident of a crash loop, and says in it what is done each time', () => {
    const machine = started({ size: 1, restarts: 50, chains: { crash: [step('replace', { times: 2 })] } });
    for (let n = 0; n < 3; n++) {
      for (const ready of machine.unitsIn('ready')) machine.die(ready, 11);
      machine.pass(500);
      for (const one of machine.unitsIn('starting')) machine.observe({ kind: 'became-ready', unit: one });
      machine.pass(100);
    }
    assert.equal(machine.incidents.length, 1);
    assert.deepEqual(machine.over, []);
    assert.equal(machine.steps.length, 2);
    assert.match(machine.steps[0] ?? '', /: crash: .*next start in /);
    assert.match(machine.steps[1] ?? '', /quarantine/);
  });

  it('is none when the supervisor died before anything came of a start', () => {
    const machine = started();
    machine.die(A1, 11);
    machine.pass(500);
    const found = [
      { ...FOUND, unit: A2, generation: 2 },
      { ...FOUND, unit: A3, generation: 3, life: 'starting' as const, isThere: false, readyAt: undefined },
    ];
    for (const exit of [undefined, { how: 'dumped', status: 11 } as const]) {
      const next = new SimulatedMachine(examplePlan());
      next.state = restoreState('hello', remember(machine.state), found);
      next.observe({ kind: 'resumed' });
      next.observe({ kind: 'listening' });
      const { deaths } = next.state;
      if (exit !== undefined) next.observe({ kind: 'exited', unit: A3, exit });
      next.observe({ kind: 'cleared', unit: A3 });
      assert.equal(next.state.deaths.length, deaths.length + (exit === undefined ? 0 : 1));
      next.pass(1000);
      assert.deepEqual(next.everStarted.length, 1);
    }
  });

  it('forgets how far a chain was gone after sustained health', () => {
    const machine = started({ size: 1, restarts: 50, chains: { crash: [step('replace', { times: 1 })] } });
    machine.die(A1, 11);
    machine.observe({ kind: 'became-ready', unit: A2 });
    assert.equal(machine.state.chains.length, 1);
    machine.pass(61_000);
    assert.equal(machine.state.chains.length, 0);
    machine.die(A2, 11);
    assert.equal(machine.state.phase, 'on');
  });

  it('takes one step for a whole pool that one misfortune killed', () => {
    const machine = started({ size: 4, restarts: 50, chains: { crash: [step('replace', { times: 1 })] } });
    for (const dead of machine.unitsIn('ready')) machine.die(dead, 11);
    assert.equal(machine.state.phase, 'on');
    assert.equal(machine.state.chains[0]?.count, 1);
  });

  it('gives a step that may help a budget of its own when the one before has used its up', () => {
    const raise = {
      kind: 'raise',
      limit: 'memory',
      by: { percent: 50 },
      most: 1000,
      delayMs: 0,
      times: 1,
      risky: false,
    };
    const chains = { crash: [step('replace'), raise as Step, step('quarantine')] };
    const machine = started({ size: 1, restarts: 2, chains, limits: { memoryMax: 400, memoryHigh: 300 } });
    for (let n = 0; n < 3; n++) {
      for (const dead of machine.unitsIn('ready')) machine.die(dead, 11);
      machine.pass(1000);
      for (const one of machine.unitsIn('starting')) machine.observe({ kind: 'became-ready', unit: one });
    }
    assert.equal(machine.state.phase, 'on');
    assert.equal(machine.state.plan?.limits.memoryMax, 600);
    assert.equal(machine.state.plan?.limits.memoryHigh, 450);
    assert.notEqual(machine.state.plan?.limitsDigest, 'l1');
    for (const dead of machine.unitsIn('ready')) machine.die(dead, 11);
    assert.equal(machine.state.quarantined, true);
  });

  it('runs and tells on the way to the step that brings it back, once, and again after a supervisor that died', () => {
    const run = { kind: 'run', words: ['/bin/page'], timeoutMs: 1000, delayMs: 0, times: 1, risky: false } as Step;
    const machine = started({ chains: { crash: [step('notify', { times: 1 }), run, step('replace')] } });
    machine.observe({ kind: 'exited', unit: A1, exit: { how: 'dumped', status: 11 } });
    const [ordered] = machine.orders.filter((order) => order.kind === 'run');
    assert.equal(ordered?.environment.BULKHEAD_CLASS, 'crash');
    assert.equal(ordered?.environment.BULKHEAD_INCIDENT, machine.incidents[0]?.id);
    assert.equal(machine.incidents[0]?.action, `notify, run /bin/page, start ${A3}`);
    machine.observe({ kind: 'resumed' });
    assert.equal(machine.runs, 2);
    machine.observe({ kind: 'ran', incident: machine.incidents[0]?.id ?? '', status: 0, text: 'paged' });
    machine.observe({ kind: 'resumed' });
    assert.equal(machine.runs, 2);
  });

  it('leaves out risky steps at other times', () => {
    const crash = [step('quarantine', { risky: true }), step('replace')];
    const machine = started({ chains: { crash } });
    machine.riskyAllowed = false;
    machine.die(A1, 11);
    assert.equal(machine.state.phase, 'on');
    machine.riskyAllowed = true;
    const other = started({ chains: { crash } });
    other.die(A1, 11);
    assert.equal(other.state.quarantined, true);
  });

  it('says of a stop that was too slow how it ended, and counts nothing', () => {
    const machine = started();
    machine.observe({ kind: 'unwanted' });
    const said = (of: string): string | undefined => {
      machine.observe({ kind: 'exited', unit: of, exit: { how: 'killed', status: 9 } });
      return machine.orders.filter((order) => order.kind === 'note')[0]?.text;
    };
    assert.equal(said(A1), 'killed by SIGKILL', 'by somebody else');
    machine.now += 30_000;
    assert.equal(said(A2), 'did not end within 30s of SIGTERM, killed');
    assert.equal(machine.incidents.length, 0);
  });
});

describe('standbys', () => {
  it('are started beside the pool, and are not counted in it', () => {
    const machine = started({ standby: 1 });
    assert.deepEqual(machine.everStarted, [A1, A2, A3]);
    assert.deepEqual(
      standbys(machine.state).map((one) => one.unit),
      [A3],
    );
    assert.equal(machine.state.sandboxes.get(A3)?.gate, 'held');
    assert.equal(statusLine(machine.state), '2/2 ready, slot a, v1, 1/1 standby');
  });

  it('are promoted in the decision about the death, before all else, and another one is started', () => {
    const machine = started({ standby: 1 });
    machine.observe({ kind: 'exited', unit: A1, exit: { how: 'killed', status: 9 } });
    assert.deepEqual(machine.orders[0], { kind: 'gate', unit: A3, gate: 'open' });
    assert.deepEqual(
      inTraffic(machine.state).map((one) => one.unit),
      [A2, A3],
    );
    assert.equal(machine.state.sandboxes.get(A3)?.seat, 0);
    assert.deepEqual(
      standbys(machine.state).map((one) => one.unit),
      [A4],
    );
    machine.pass(1000);
    assert.deepEqual(
      machine.over.map((text) => text.replace(/^\S+ /, '')),
      ['recovered at once'],
    );
    assert.equal(machine.incidents[0]?.action, `promote ${A3}, start ${A4} as a standby`);
  });

  it('take over though the back-off holds starts back', () => {
    const machine = started({ size: 1, standby: 1, restarts: 50 });
    machine.die(A1);
    machine.observe({ kind: 'became-ready', unit: A3 });
    machine.die(A2);
    machine.observe({ kind: 'became-ready', unit: A4 });
    // The first that was started since.
    machine.die(A3);
    assert.deepEqual(
      inTraffic(machine.state).map((one) => one.unit),
      [A4],
    );
    assert.equal(machine.unitsIn('starting').length, 0);
    machine.pass(100);
    assert.equal(machine.unitsIn('starting').length, 1);
  });

  it('that start yet are taken, too, when no other is there, and are let in when they are ready', () => {
    const machine = started({ size: 1, standby: 1, restarts: 50 });
    machine.die(A1);
    machine.die(A2);
    assert.equal(machine.state.sandboxes.get(A3)?.standby, false);
    assert.ok(!machine.orders.some(({ kind }) => kind === 'gate'));
    machine.observe({ kind: 'became-ready', unit: A3 });
    assert.deepEqual(machine.orders[0], { kind: 'gate', unit: A3, gate: 'open' });
  });

  it('come and go with the declaration', () => {
    const machine = started({ standby: 1 });
    machine.observe({ kind: 'declared', plan: examplePlan({ standby: 2 }) });
    machine.observe({ kind: 'became-ready', unit: A4 });
    assert.equal(standbys(machine.state).length, 2);
    machine.observe({ kind: 'declared', plan: examplePlan({ standby: 0 }) });
    machine.observe({ kind: 'woke' });
    assert.equal(standbys(machine.state).length, 0);
    assert.equal(readyOnes(machine.state).length, 2);
  });

  it('of a new declaration start once its sandboxes are the live ones', () => {
    const machine = started({ standby: 1 });
    machine.plan = examplePlan({ standby: 1, digest: 'd2' });
    machine.observe({ kind: 'reload' });
    for (let n = 0; n < 120; n++) {
      assert.ok(machine.unitsIn('starting').length + machine.unitsIn('ready').length <= 5);
      assert.ok(inTraffic(machine.state).length >= 2);
      for (const one of machine.unitsIn('starting')) machine.observe({ kind: 'became-ready', unit: one });
      for (const one of machine.unitsIn('stopping')) machine.die(one, 15);
      machine.pass(1000);
    }
    assert.deepEqual(
      [...machine.state.sandboxes.values()].map(({ digest, standby }) => [digest, standby]),
      [
        ['d2', false],
        ['d2', false],
        ['d2', true],
      ],
    );
  });

  it('are told again of the gate when init says otherwise, but not for ever', () => {
    const machine = started({ size: 1, standby: 1 });
    machine.die(A1);
    let orders = 0;
    for (let n = 0; n < 20; n++) {
      machine.observe({ kind: 'gate', unit: A2, gate: 'held' });
      orders += machine.orders.filter(({ kind }) => kind === 'gate').length;
    }
    assert.equal(orders, 5);
  });
});

describe('recovery of what lives and is ill', () => {
  it('kills what hangs, and starts another one in the same decision', () => {
    const machine = started();
    machine.observe({ kind: 'diagnosed', unit: A1, verdict: verdict('hang', 'blocked') });
    const kinds = machine.orders.map(({ kind }) => kind);
    assert.ok(kinds.indexOf('incident') < kinds.indexOf('kill'), kinds.join(' '));
    assert.equal(machine.unitsIn('starting').length, 1);
    assert.match(statusLine(machine.state), /^1\/2 ready.*degraded: BH314 .*hang: it is so/);
    machine.die(A1);
    assert.equal(machine.incidents.length, 1);
    assert.equal(machine.state.deaths.length, 1, 'its end is no further death');
    machine.observe({ kind: 'became-ready', unit: A3 });
    machine.pass(1000);
    assert.equal(machine.over.length, 1);
  });

  it('heals one at a time, and deaths do not wait for that', () => {
    const machine = started({ size: 3, restarts: 50 });
    for (const one of [A1, A2]) machine.observe({ kind: 'diagnosed', unit: one, verdict: verdict('hang', 'blocked') });
    assert.deepEqual(machine.unitsIn('stopping'), [A1]);
    machine.die(A3);
    machine.pass(1000);
    assert.equal(machine.unitsIn('starting').length, 2);
    machine.die(A1);
    for (const one of machine.unitsIn('starting')) machine.observe({ kind: 'became-ready', unit: one });
    assert.deepEqual(machine.unitsIn('stopping'), [A2]);
  });

  it('does not wait for a healer whose time is over', () => {
    const machine = started({ size: 3, restarts: 50 });
    for (const one of [A1, A2]) machine.observe({ kind: 'diagnosed', unit: one, verdict: verdict('hang', 'blocked') });
    machine.pass(70_000);
    assert.deepEqual(machine.unitsIn('stopping'), [A1, A2]);
  });

  it('does not end the last one that serves before there is another one', () => {
    const machine = started({ size: 1 });
    machine.observe({ kind: 'diagnosed', unit: A1, verdict: verdict('fork-bomb', 'tasks') });
    assert.deepEqual(machine.unitsIn('ready'), [A1]);
    assert.deepEqual(machine.unitsIn('starting'), [A2]);
    machine.observe({ kind: 'became-ready', unit: A2 });
    assert.deepEqual(machine.unitsIn('stopping'), [A1]);
    machine.pass(1000);
    assert.equal(machine.over.length, 1);
    const spared = started({ size: 1, standby: 1 });
    spared.observe({ kind: 'diagnosed', unit: A1, verdict: verdict('fork-bomb', 'tasks') });
    assert.deepEqual(spared.unitsIn('stopping'), [A1]);
    assert.deepEqual(
      inTraffic(spared.state).map((one) => one.unit),
      [A2],
    );
  });

  it('recycles what leaks: the new one first, then a stop that asks', () => {
    const machine = started();
    machine.observe({ kind: 'diagnosed', unit: A1, verdict: verdict('leak', 'memory') });
    assert.equal(machine.unitsIn('ready').length, 2);
    machine.observe({ kind: 'became-ready', unit: A3 });
    assert.ok(machine.orders.some((order) => order.kind === 'stop' && order.unit === A1));
    assert.equal(machine.incidents[0]?.step.kind, 'recycle');
  });

  it('does not wait for the replacement of one that hangs by now', () => {
    const machine = started({ size: 1 });
    machine.observe({ kind: 'diagnosed', unit: A1, verdict: verdict('leak', 'memory') });
    assert.deepEqual(machine.unitsIn('ready'), [A1]);
    machine.observe({ kind: 'diagnosed', unit: A1, verdict: verdict('leak', 'files') });
    assert.deepEqual(machine.unitsIn('ready'), [A1]);
    machine.observe({ kind: 'diagnosed', unit: A1, verdict: verdict('hang', 'blocked') });
    assert.deepEqual(machine.unitsIn('stopping'), [A1]);
    assert.deepEqual(
      machine.incidents.map((one) => one.verdict.class),
      ['leak', 'hang'],
    );
  });

  it('hears what is found while a new supervisor looks for its sockets', () => {
    const machine = started();
    machine.state = { ...machine.state, phase: 'loading' };
    machine.observe({ kind: 'diagnosed', unit: A1, verdict: verdict('hang', 'blocked') });
    machine.observe({ kind: 'listening' });
    assert.deepEqual(machine.unitsIn('stopping'), [A1]);
  });

  it('keeps one frozen, and no second one', () => {
    const machine = started({ chains: { deadlock: [step('freeze')] } });
    machine.observe({ kind: 'diagnosed', unit: A1, verdict: verdict('deadlock') });
    assert.deepEqual(machine.unitsIn('frozen'), [A1]);
    machine.observe({ kind: 'became-ready', unit: A3 });
    machine.observe({ kind: 'diagnosed', unit: A2, verdict: verdict('deadlock') });
    assert.deepEqual(machine.unitsIn('stopping'), [A2]);
    assert.match(statusLine(machine.state), /1 frozen/);
    machine.observe({ kind: 'released', by: 'uid 0' });
    assert.ok(machine.orders.some((order) => order.kind === 'kill' && order.unit === A1));
  });

  it('only tells of what is only to be told', () => {
    const machine = started();
    machine.observe({ kind: 'node-ill', verdict: verdict('hardware', 'temperature') });
    assert.equal(machine.incidents[0]?.action, 'notify');
    assert.deepEqual(
      machine.over.map((text) => text.replace(/^\S+ /, '')),
      ['told, which is all that is declared for it'],
    );
    assert.equal(visibleState(machine.state), 'running');
    assert.equal(machine.state.recoveries.alone, 0);
  });

  it('waits as long as a step says', () => {
    const machine = started({ chains: { hang: [step('replace', { delayMs: 3000 })] } });
    machine.observe({ kind: 'diagnosed', unit: A1, verdict: verdict('hang', 'blocked') });
    assert.equal(machine.unitsIn('stopping').length, 0);
    machine.pass(3000);
    assert.deepEqual(machine.unitsIn('stopping'), [A1]);
  });

  it('recycles all when asked to, one after the other, and takes that for no failure', () => {
    const machine = started({ standby: 1 });
    machine.observe({ kind: 'recycle-asked', by: 'the schedule' });
    for (let n = 0; n < 20; n++) {
      assert.ok(inTraffic(machine.state).length >= 2);
      for (const one of machine.unitsIn('starting')) machine.observe({ kind: 'became-ready', unit: one });
      for (const one of machine.unitsIn('stopping')) machine.die(one, 15);
    }
    assert.ok([...machine.state.sandboxes.values()].every(({ generation }) => generation > 3));
    assert.deepEqual([machine.state.deaths, machine.incidents], [[], []]);
  });
});

describe('probes and traffic', () => {
  const readiness = { kind: 'tcp', everyMs: 1000, timeoutMs: 1000, misses: 3, passes: 1 } as const;
  const says = (of: string, passes: boolean) =>
    ({ kind: 'probed', unit: of, probe: 'readiness', passes, text: 'no answer' }) as const;

  it('a sandbox gets connections when its readiness probe passes, and only then', () => {
    const machine = new SimulatedMachine(examplePlan({ health: { readiness } })).started();
    assert.match(statusLine(machine.state), /^0\/2 ready/);
    assert.ok(!machine.told.includes('ready'));
    machine.observe(says(A1, true));
    assert.deepEqual(machine.orders[0], { kind: 'gate', unit: A1, gate: 'open' });
    machine.observe(says(A2, true));
    assert.ok(machine.told.includes('ready'));
    machine.observe(says(A1, false));
    assert.ok(machine.orders.some((order) => order.kind === 'gate' && order.unit === A1 && order.gate === 'shut'));
    assert.match(statusLine(machine.state), /^1\/2 ready, slot a, v1, 1 out of traffic, degraded/);
  });

  it('the last one stays in traffic, whatever its probe says', () => {
    const machine = new SimulatedMachine(examplePlan({ health: { readiness } })).started();
    for (const one of [A1, A2]) machine.observe(says(one, true));
    for (const one of [A1, A2]) machine.observe(says(one, false));
    assert.deepEqual(
      inTraffic(machine.state).map((one) => one.unit),
      [A2],
    );
  });

  it('a recovery took until the other one was ready', () => {
    const machine = started({ size: 1 });
    machine.pass(5000);
    machine.observe({ kind: 'probed', unit: A1, probe: 'liveness', passes: false, text: 'status 500' });
    machine.pass(3000);
    const before = machine.over.length;
    const { recoveries } = machine.state;
    machine.observe({ kind: 'became-ready', unit: A2 });
    machine.die(A1);
    machine.pass(1000);
    assert.equal(machine.over.length, before + 1);
    assert.equal(machine.state.recoveries.aloneMs - recoveries.aloneMs, 3000);
  });

  it('the only one that fails its liveness probe goes on until there is another one, and is not asked then', () => {
    const machine = started({ size: 1 });
    machine.observe({ kind: 'probed', unit: A1, probe: 'liveness', passes: false, text: 'no WATCHDOG=1 for 2s' });
    assert.deepEqual(machine.unitsIn('ready'), [A1]);
    machine.observe({ kind: 'became-ready', unit: A2 });
    assert.ok(machine.orders.some((order) => order.kind === 'kill' && order.unit === A1));
    assert.ok(!machine.orders.some((order) => order.kind === 'stop'));
    machine.die(A1);
    assert.equal(machine.incidents.length, 1);
    assert.deepEqual(machine.unitsIn('ready'), [A2]);
  });

  it('a probe that flaps, and one of liveness that fails, are failures', () => {
    const machine = new SimulatedMachine(examplePlan({ health: { readiness } })).started();
    for (let n = 0; n < 5; n++) for (const passes of [true, false]) machine.observe(says(A1, passes));
    assert.equal(machine.incidents.at(-1)?.verdict.kind, 'readiness-flapping');
    const other = started();
    other.observe({ kind: 'probed', unit: A1, probe: 'liveness', passes: false, text: 'status 500' });
    assert.equal(other.incidents.at(-1)?.verdict.kind, 'liveness');
    assert.deepEqual(other.unitsIn('stopping'), [A1]);
  });

  it('a sandbox that passes again before it is its turn is left alone', () => {
    const machine = started({ size: 3, restarts: 50 });
    const says = (of: string, passes: boolean) =>
      machine.observe({ kind: 'probed', unit: of, probe: 'liveness', passes, text: 'status 500' });
    for (const one of [A1, A2]) says(one, false);
    says(A2, true);
    machine.die(A1);
    machine.pass(1000);
    for (const one of machine.unitsIn('starting')) machine.observe({ kind: 'became-ready', unit: one });
    assert.equal(machine.state.sandboxes.get(A2)?.life, 'ready');
  });

  it('a seat that keeps failing loses its traffic, until it has been well for a minute', () => {
    const machine = started({ size: 2, standby: 1, restarts: 50 });
    for (let n = 0; n < 3; n++) {
      const bad = inTraffic(machine.state).find(({ seat }) => seat === 0);
      machine.die(bad?.unit ?? '');
      machine.pass(1000);
      for (const one of machine.unitsIn('starting')) machine.observe({ kind: 'became-ready', unit: one });
    }
    const seat = (): string | undefined => readyOnes(machine.state).find((one) => one.seat === 0)?.gate;
    assert.equal(seat(), 'held', 'the one that was promoted to it was never let in');
    assert.match(statusLine(machine.state), /^1\/2 ready.*1 out of traffic/);
    assert.equal(machine.over.length, machine.incidents.length, 'what failed has recovered all the same');
    machine.pass(61_000);
    assert.equal(seat(), 'open');
  });
});

describe('what cannot be killed', () => {
  it('is fenced off, replaced, and let go when the kernel lets go', () => {
    const machine = started();
    machine.observe({ kind: 'diagnosed', unit: A1, verdict: verdict('hang', 'uninterruptible') });
    machine.observe({ kind: 'unkillable', unit: A1 });
    machine.observe({ kind: 'unkillable', unit: A1 });
    assert.deepEqual(machine.unitsIn('fenced'), [A1]);
    assert.deepEqual(
      machine.incidents.map((one) => one.verdict.class),
      ['hang', 'unkillable'],
    );
    machine.observe({ kind: 'became-ready', unit: A3 });
    assert.match(statusLine(machine.state), /^2\/2 ready, slot a, v1, 1 cannot be killed$/);
    machine.observe({ kind: 'unwanted' });
    for (const one of [A2, A3]) machine.die(one, 15);
    assert.equal(machine.told.at(-1), 'stopped');
    machine.observe({ kind: 'wanted', invocation: 'i2', automatic: false });
    assert.equal(machine.unitsIn('starting').length, 2);
    machine.observe({ kind: 'unwanted' });
    for (const one of machine.unitsIn('stopping')) machine.die(one, 15);
    machine.observe({ kind: 'cleared', unit: A1 });
    assert.equal(machine.state.sandboxes.has(A1), false);
    assert.match(machine.over.at(-1) ?? '', /the kernel has let go of it/);
  });

  it('is not replaced when there are too many on the node, until there is room', () => {
    const machine = started({ size: 1 });
    machine.room = 0;
    machine.observe({ kind: 'unkillable', unit: A1 });
    assert.deepEqual(machine.everStarted, [A1]);
    machine.room = 1;
    machine.pass(10_000);
    assert.deepEqual(machine.everStarted, [A1, A2]);
  });
});

describe('a state of a version that knew less', () => {
  it('is taken over: what runs serves on, and is replaced when it dies', () => {
    const { members: _members, ...all } = remember(started().state);
    const fields = ['phase', 'invocation', 'plan', 'nextGeneration', 'slot', 'deathsInRow', 'roundBegan', 'deaths'];
    const known = Object.fromEntries(Object.entries(all).filter(([field]) => fields.includes(field)));
    const found = [A1, A2].map((one, index) => ({ ...FOUND, unit: one, generation: index + 1 }));
    const next = new SimulatedMachine(examplePlan());
    next.state = restoreState('hello', known, found);
    next.observe({ kind: 'resumed' });
    assert.equal(next.state.phase, 'on');
    assert.deepEqual(
      [...next.state.sandboxes.values()].map(({ seat, gate }) => [seat, gate]),
      [
        [0, undefined],
        [1, undefined],
      ],
    );
    next.die(A1, 11);
    assert.equal(next.incidents.length, 1);
    assert.deepEqual(next.everStarted, [A3]);
  });
});

describe('quarantine', () => {
  it('ends by release, and by a new start', () => {
    const machine = started({ size: 1, chains: { crash: [step('quarantine')] } });
    machine.die(A1, 11);
    assert.equal(visibleState(machine.state), 'failed');
    machine.observe({ kind: 'unwanted' });
    machine.observe({ kind: 'released', by: 'uid 0' });
    assert.equal(visibleState(machine.state), 'stopped');
    assert.deepEqual(
      machine.over.map((text) => text.replace(/^\S+ /, '')),
      ['released by uid 0'],
    );
    machine.observe({ kind: 'wanted', invocation: 'i2', automatic: false });
    assert.equal(machine.unitsIn('starting').length, 1);
    assert.equal(machine.state.quarantined, false);
  });
});
