import assert from 'node:assert/strict';
import fc from 'fast-check';
import { learningOne, living, readyOnes } from '../../../src/decide/plugin-state.ts';
import { remember, restoreState } from '../../../src/decide/restore.ts';
import { statusLine, visibleState } from '../../../src/decide/status-line.ts';
import { examplePlan } from '../../support/plans.ts';
import { SimulatedMachine } from './simulated-machine.ts';

const A1 = 'plugin-hello-a-g1.service';
const A2 = 'plugin-hello-a-g2.service';

describe('decide', function () {
  // Many runs of one of these, on whatever else the machine does.
  this.timeout(60_000);

  it('starts the whole pool when the plugin is wanted, and says ready once all of it is', () => {
    const machine = new SimulatedMachine(examplePlan());
    machine.observe({ kind: 'wanted', invocation: 'i1', automatic: false });
    assert.deepEqual(machine.everStarted, [A1, A2]);
    machine.observe({ kind: 'became-ready', unit: A1 });
    assert.ok(!machine.told.includes('ready'));
    machine.observe({ kind: 'became-ready', unit: A2 });
    assert.ok(machine.told.includes('ready'));
    assert.equal(statusLine(machine.state), '2/2 ready, slot a, v1');
  });

  it('replaces a dead sandbox at once, under a new generation, without waiting for its unit to go', () => {
    const machine = new SimulatedMachine(examplePlan()).started();
    machine.observe({ kind: 'exited', unit: A1, exit: { how: 'killed', status: 9 } });
    assert.deepEqual(machine.everStarted, [A1, A2, 'plugin-hello-a-g3.service']);
    assert.ok(machine.orders.some((order) => order.kind === 'clear' && order.unit === A1));
    assert.match(statusLine(machine.state), /^1\/2 ready.*degraded: BH304 .*SIGKILL/);
  });

  it('waits longer after each further death, and immediately after sustained health', () => {
    const machine = new SimulatedMachine(examplePlan({ size: 1, restarts: 50 })).started();
    const delays: number[] = [];
    for (let n = 0; n < 5; n++) {
      const unit = machine.unitsIn('ready')[0] as string;
      machine.die(unit);
      delays.push(machine.wakeAt === undefined ? 0 : machine.wakeAt - machine.now);
      machine.pass(20_000);
      for (const starting of machine.unitsIn('starting')) machine.observe({ kind: 'became-ready', unit: starting });
    }
    assert.deepEqual(
      delays.map((delay) => (delay > 50_000 ? 0 : delay)),
      [0, 100, 200, 400, 800],
    );
    machine.pass(61_000);
    assert.equal(machine.state.deathsInRow, 0);
    machine.die(machine.unitsIn('ready')[0] as string);
    assert.equal(machine.unitsIn('starting').length, 1);
  });

  it('counts what kills a whole pool at once as one misfortune', () => {
    const machine = new SimulatedMachine(examplePlan({ size: 16, restarts: 2 })).started();
    for (const unit of machine.unitsIn('ready')) machine.die(unit);
    assert.equal(machine.unitsIn('starting').length, 16);
    assert.equal(machine.state.deaths.length, 1);
    for (const unit of machine.unitsIn('starting')) machine.die(unit);
    assert.equal(machine.unitsIn('starting').length, 0);
    assert.equal(machine.wakeAt, machine.now + 100);
    machine.pass(100);
    assert.equal(machine.unitsIn('starting').length, 16);
    for (const unit of machine.unitsIn('starting')) machine.die(unit);
    assert.equal(visibleState(machine.state), 'failed');
  });

  it('gives up when the budget is used and nothing serves, and tells why', () => {
    const machine = new SimulatedMachine(examplePlan({ size: 1 }));
    machine.observe({ kind: 'wanted', invocation: 'i1', automatic: false });
    for (let n = 0; n < 20 && machine.state.phase === 'on'; n++) {
      for (const unit of machine.unitsIn('starting')) {
        machine.observe({ kind: 'exited', unit, exit: { how: 'exited', status: 3 } });
        machine.observe({ kind: 'cleared', unit });
      }
      machine.pass(10_000);
    }
    assert.equal(visibleState(machine.state), 'failed');
    assert.equal(machine.everStarted.length, 6);
    assert.equal(machine.told.at(-1), 'failed BH304');
    assert.match(statusLine(machine.state), /exit status 3/);
  });

  it('forgets a failure that was reset, and only then', () => {
    const machine = new SimulatedMachine(examplePlan({ size: 1, restarts: 0 })).started();
    machine.die(machine.unitsIn('ready')[0] as string);
    assert.equal(visibleState(machine.state), 'failed');
    machine.observe({ kind: 'forgiven' });
    assert.equal(visibleState(machine.state), 'failed');
    machine.observe({ kind: 'unwanted' });
    machine.observe({ kind: 'forgiven' });
    assert.equal(visibleState(machine.state), 'stopped');
  });

  it('keeps what serves when the budget is used, and tries again when it has room', () => {
    const machine = new SimulatedMachine(examplePlan({ size: 2, restarts: 2 })).started();
    const [, keeper] = machine.unitsIn('ready');
    machine.die(A1);
    for (let n = 0; n < 10; n++) {
      for (const unit of machine.unitsIn('starting')) machine.die(unit);
      machine.pass(1000);
    }
    assert.equal(machine.state.phase, 'on');
    assert.deepEqual(machine.unitsIn('ready'), [keeper]);
    const before = machine.everStarted.length;
    machine.pass(60_000);
    assert.ok(machine.everStarted.length > before);
  });

  it('stops everything when it is not wanted any more, and only then says stopped', () => {
    const machine = new SimulatedMachine(examplePlan()).started();
    machine.observe({ kind: 'unwanted' });
    assert.equal(machine.orders.filter(({ kind }) => kind === 'stop').length, 2);
    machine.die(A1, 15);
    assert.ok(!machine.told.includes('stopped'));
    machine.die(A2, 15);
    assert.equal(machine.told.at(-1), 'stopped');
    assert.equal(machine.everStarted.length, 2);
    assert.equal(visibleState(machine.state), 'stopped');
  });

  it('does not start a replacement while a stop from outside may be the beginning of a stop of the plugin', () => {
    const machine = new SimulatedMachine(examplePlan()).started();
    for (const unit of [A1, A2]) {
      machine.observe({ kind: 'stop-seen', unit });
      machine.observe({ kind: 'exited', unit, exit: { how: 'exited', status: 0 } });
    }
    assert.equal(machine.everStarted.length, 2);
    assert.equal(machine.state.deaths.length, 0);
    machine.pass(1000);
    assert.equal(machine.everStarted.length, 4);
  });

  it('takes an anchor that systemd restarted as the same wish, and one that a person started as a new start', () => {
    const machine = new SimulatedMachine(examplePlan()).started();
    machine.told.length = 0;
    machine.observe({ kind: 'wanted', invocation: 'i2', automatic: true });
    assert.equal(machine.everStarted.length, 2);
    assert.deepEqual(machine.told, ['status 2/2 ready, slot a, v1', 'ready']);
    machine.observe({ kind: 'wanted', invocation: 'i3', automatic: false });
    assert.equal(machine.unitsIn('stopping').length, 2);
    machine.die(A1, 15);
    machine.die(A2, 15);
    assert.equal(machine.unitsIn('starting').length, 2);
  });

  it('fails with the reason when the declaration is bad and nothing runs, and keeps what runs otherwise', () => {
    const machine = new SimulatedMachine(examplePlan());
    machine.observe({ kind: 'wanted', invocation: 'i1', automatic: false });
    machine.observe({ kind: 'undeclarable', reason: { code: 'BH102', text: 'hello.yaml:3:1: unknown key' } });
    assert.equal(machine.state.phase, 'on');
    assert.match(statusLine(machine.state), /refused: BH102 hello.yaml:3:1/);
    const fresh = new SimulatedMachine(examplePlan());
    fresh.state = { ...fresh.state, phase: 'loading', invocation: 'i1' };
    fresh.observe({ kind: 'undeclarable', reason: { code: 'BH102', text: 'hello.yaml:3:1: unknown key' } });
    assert.equal(fresh.told.at(-1), 'failed BH102');
  });

  it('starts another side beside what runs after a reload, and ends the old one when the new one is live', () => {
    const machine = new SimulatedMachine(examplePlan()).started();
    machine.plan = examplePlan({ digest: 'd2' });
    machine.observe({ kind: 'reload' });
    let fewest = 2;
    for (let n = 0; n < 120; n++) {
      for (const unit of machine.unitsIn('starting')) machine.observe({ kind: 'became-ready', unit });
      for (const unit of machine.unitsIn('stopping')) machine.die(unit, 15);
      machine.pass(1000);
      fewest = Math.min(fewest, readyOnes(machine.state).length);
    }
    assert.equal(fewest, 2);
    assert.deepEqual(
      living(machine.state).map(({ digest, slot }) => [digest, slot]),
      [
        ['d2', 'b'],
        ['d2', 'b'],
      ],
    );
    assert.equal(statusLine(machine.state), '2/2 ready, slot b, v1');
  });

  describe('limits that can be set on what runs', () => {
    const limitOrders = (machine: SimulatedMachine) => machine.limited.splice(0);

    /** Two ready sandboxes, and a declaration with other limits that was just read again. */
    function reloaded(): SimulatedMachine {
      const machine = new SimulatedMachine(examplePlan()).started();
      machine.observe({ kind: 'declared', plan: examplePlan({ limitsDigest: 'l2' }) });
      return machine;
    }

    it('are set on each sandbox once, and nothing is replaced', () => {
      const machine = reloaded();
      assert.deepEqual(limitOrders(machine), [A1, A2]);
      machine.observe({ kind: 'woke' });
      assert.deepEqual(limitOrders(machine), [], 'while they are being set');
      for (const unit of [A1, A2]) machine.observe({ kind: 'limited', unit, limits: 'l2' });
      machine.observe({ kind: 'woke' });
      assert.deepEqual(limitOrders(machine), []);
      assert.deepEqual(machine.everStarted, [A1, A2]);
    });

    it('wait for a sandbox that starts yet', () => {
      const machine = new SimulatedMachine(examplePlan({ size: 1 }));
      machine.observe({ kind: 'wanted', invocation: 'i1', automatic: false });
      machine.observe({ kind: 'declared', plan: examplePlan({ size: 1, limitsDigest: 'l2' }) });
      assert.deepEqual(limitOrders(machine), []);
      machine.observe({ kind: 'became-ready', unit: A1 });
      assert.deepEqual(limitOrders(machine), [A1]);
    });

    it('are set again when the declaration changed once more meanwhile', () => {
      const machine = reloaded();
      limitOrders(machine);
      machine.observe({ kind: 'declared', plan: examplePlan({ limitsDigest: 'l3' }) });
      assert.deepEqual(limitOrders(machine), [A1, A2]);
      machine.observe({ kind: 'limited', unit: A1, limits: 'l2' });
      assert.deepEqual(limitOrders(machine), [], 'l3 is on its way');
      machine.observe({ kind: 'limited', unit: A1, limits: 'l3' });
      assert.equal(machine.state.sandboxes.get(A1)?.limits, 'l3');
      assert.equal(machine.state.sandboxes.get(A1)?.limiting, undefined);
    });

    it('that systemd refuses take another sandbox, the new one first', () => {
      const machine = reloaded();
      machine.observe({ kind: 'limited', unit: A2, limits: 'l2' });
      const reason = { code: 'BH504', text: 'no' } as const;
      machine.observe({ kind: 'limit-refused', unit: A1, limits: 'l2', reason });
      assert.deepEqual(machine.everStarted.slice(2), ['plugin-hello-a-g3.service']);
      assert.equal(machine.state.sandboxes.get(A1)?.life, 'ready');
      machine.observe({ kind: 'became-ready', unit: 'plugin-hello-a-g3.service' });
      assert.equal(machine.state.sandboxes.get(A1)?.life, 'stopping');
      assert.equal(machine.state.sandboxes.get(A2)?.life, 'ready');
    });

    it('are set by the next supervisor when one died between deciding and setting them', () => {
      const machine = reloaded();
      const found = [A1, A2].map((unit, index) => ({
        unit,
        slot: 'a' as const,
        generation: index + 1,
        digest: 'd1',
        limits: index === 0 ? 'l1' : 'l2',
        learning: false,
        life: 'ready' as const,
        isThere: true,
        readyAt: machine.now,
      }));
      const next = new SimulatedMachine(examplePlan({ limitsDigest: 'l2' }));
      next.state = restoreState('hello', remember(machine.state), found);
      next.observe({ kind: 'wanted', invocation: 'i1', automatic: false });
      next.observe({ kind: 'resumed' });
      assert.equal(next.state.sandboxes.get(A1)?.limiting, 'l2');
      assert.equal(next.state.sandboxes.get(A2)?.limiting, undefined);
    });
  });

  it('goes on after a restart of the supervisor: the same pool, deaths in the meantime counted once', () => {
    const machine = new SimulatedMachine(examplePlan()).started();
    const found = [A1, A2].map((unit, index) => ({
      unit,
      slot: 'a' as const,
      generation: index + 1,
      digest: 'd1',
      limits: 'l1',
      learning: false,
      life: 'ready' as const,
      isThere: true,
      readyAt: machine.now,
    }));
    const next = new SimulatedMachine(examplePlan());
    next.state = restoreState('hello', remember(machine.state), found);
    next.observe({ kind: 'wanted', invocation: 'i1', automatic: false });
    next.observe({ kind: 'resumed' });
    assert.deepEqual(next.everStarted, []);
    next.observe({ kind: 'exited', unit: A1, exit: { how: 'dumped', status: 11 } });
    next.observe({ kind: 'cleared', unit: A1 });
    next.observe({ kind: 'cleared', unit: A1 });
    assert.deepEqual(next.everStarted, ['plugin-hello-a-g3.service']);
    assert.equal(next.state.deaths.length, 1);
  });

  it('never starts a unit name twice, never runs more than the pool, and ends whole or failed, whatever happens', () => {
    const happening = fc.record({ what: fc.integer({ min: 0, max: 8 }), which: fc.nat(7), ms: fc.nat(5000) });
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => {
        const machine = new SimulatedMachine(examplePlan({ size: 2 }));
        let invocation = 0;
        for (const { what, which, ms } of happenings) {
          const units = [...machine.state.sandboxes.keys()];
          const unit = units[which % Math.max(1, units.length)] ?? A1;
          if (what === 0)
            machine.observe({ kind: 'wanted', invocation: `i${++invocation}`, automatic: which % 2 === 0 });
          if (what === 1) machine.observe({ kind: 'unwanted' });
          if (what === 2) machine.observe({ kind: 'became-ready', unit });
          if (what === 3) machine.observe({ kind: 'exited', unit, exit: { how: 'exited', status: 1 } });
          if (what === 4) machine.observe({ kind: 'cleared', unit });
          if (what === 5) machine.observe({ kind: 'start-failed', unit, reason: { code: 'BH301', text: 'x' } });
          if (what === 6) machine.observe({ kind: 'stop-seen', unit });
          if (what === 7) machine.pass(ms);
          if (what === 8) machine.observe({ kind: 'woke' });
          assert.equal(new Set(machine.everStarted).size, machine.everStarted.length);
          assert.ok(living(machine.state).length <= 2);
        }
        machine.observe({ kind: 'wanted', invocation: 'last', automatic: false });
        for (let n = 0; n < 30; n++) {
          for (const unit of machine.unitsIn('dead')) machine.observe({ kind: 'cleared', unit });
          for (const unit of machine.unitsIn('stopping')) machine.die(unit);
          for (const unit of machine.unitsIn('starting')) machine.observe({ kind: 'became-ready', unit });
          machine.pass(30_000);
        }
        assert.equal(machine.state.phase, 'on');
        assert.equal(readyOnes(machine.state).length, 2);
        assert.equal(machine.told.at(-1) === 'stopped', false);
      }),
      { numRuns: 150 },
    );
  });

  describe('a sandbox that learns', () => {
    const THIRD = 'plugin-hello-a-g3.service';

    function learning(): SimulatedMachine {
      const machine = new SimulatedMachine(examplePlan()).started();
      machine.observe({ kind: 'learn-asked', forMs: 5000 });
      assert.deepEqual(learningOne(machine.state)?.unit, THIRD);
      machine.observe({ kind: 'became-ready', unit: THIRD });
      return machine;
    }

    it('runs beside the pool, which neither counts it nor is changed by it', () => {
      const machine = learning();
      assert.deepEqual(machine.unitsIn('ready'), [A1, A2, THIRD]);
      assert.equal(readyOnes(machine.state).length, 2);
      assert.match(statusLine(machine.state), /^2\/2 ready, slot a, v1, 1 more learns$/);
      machine.die(A1);
      assert.equal(machine.everStarted.length, 4, 'the dead one is replaced');
      machine.observe({ kind: 'learned', unit: THIRD });
      assert.deepEqual(machine.unitsIn('stopping'), [THIRD]);
      machine.observe({ kind: 'exited', unit: THIRD, exit: { how: 'exited', status: 0 } });
      machine.observe({ kind: 'cleared', unit: THIRD });
      assert.equal(machine.everStarted.length, 4);
      assert.equal(machine.state.sandboxes.has(THIRD), false);
    });

    it('is one at a time, and only while the plugin is on', () => {
      const machine = learning();
      machine.observe({ kind: 'learn-asked', forMs: 5000 });
      assert.equal(machine.everStarted.length, 3);
      const off = new SimulatedMachine(examplePlan());
      off.observe({ kind: 'learn-asked', forMs: 5000 });
      assert.deepEqual(off.everStarted, []);
    });

    it('dies without costing the budget, and is not started again', () => {
      const machine = learning();
      machine.die(THIRD);
      assert.deepEqual(machine.state.deaths, []);
      assert.equal(machine.everStarted.length, 3);
      assert.equal(machine.state.phase, 'on');
      machine.observe({ kind: 'learned', unit: THIRD });
      assert.deepEqual(machine.unitsIn('ready'), [A1, A2]);
    });

    it('goes with the plugin, and with a restart of the supervisor', () => {
      const stopped = learning();
      stopped.observe({ kind: 'unwanted' });
      assert.deepEqual(stopped.unitsIn('stopping'), [A1, A2, THIRD]);
      const machine = learning();
      const found = [A1, A2, THIRD].map((unit, index) => ({
        unit,
        slot: 'a' as const,
        generation: index + 1,
        digest: 'd1',
        limits: 'l1',
        learning: unit === THIRD,
        life: 'ready' as const,
        isThere: true,
        readyAt: machine.now,
      }));
      const next = new SimulatedMachine(examplePlan());
      next.state = restoreState('hello', remember(machine.state), found);
      next.observe({ kind: 'wanted', invocation: 'i1', automatic: false });
      next.observe({ kind: 'resumed' });
      assert.deepEqual(next.unitsIn('stopping'), [THIRD]);
      assert.deepEqual(next.unitsIn('ready'), [A1, A2]);
    });
  });
});
