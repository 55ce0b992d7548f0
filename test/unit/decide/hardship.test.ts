import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { FailureClass } from '../../../src/base/failure-class.ts';
import type { Step } from '../../../src/declare/recovery.ts';
import type { Verdict } from '../../../src/diagnose/verdict.ts';
import { examplePlan } from '../../support/plans.ts';
import { tries } from '../../support/thorough.ts';
import type { RealSandbox } from './simulated-host.ts';
import { SimulatedMachine } from './simulated-machine.ts';
import { UpgradeHost } from './upgrade-host.ts';

const SERVES_NO_MORE: readonly FailureClass[] = ['hang', 'deadlock', 'spin', 'unresponsive'];
const CLASSES: readonly FailureClass[] = [...SERVES_NO_MORE, 'leak', 'fork-bomb', 'probe-failed'];

function verdict(of: FailureClass): Verdict {
  return { class: of, kind: undefined, confidence: 1, text: 'x', evidence: [], excuses: [], traceIds: [] };
}

const happening = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant('ready' as const), which: fc.nat(9) }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant('die' as const), which: fc.nat(9) }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant('obey' as const), which: fc.nat(9) }) },
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constant('ill' as const), which: fc.nat(9), of: fc.constantFrom(...CLASSES) }),
  },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('pass' as const), ms: fc.nat(20_000) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('held' as const), which: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('reload' as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('recycle' as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('rollback' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant('judged' as const), as: fc.constantFrom('good', 'few', 'bad') }),
  },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('supervisor dies' as const), after: fc.nat(8) }) },
);

type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

const START_MS = 30_000;

/** What has to hold after whatever happened. */
class Trial {
  readonly host: UpgradeHost;
  readonly size: number;
  readonly standby: number;
  #digests = 1;
  #judged = 0;
  #lastHeal: { readonly unit: string; readonly at: number } | undefined;

  constructor(size: number, standby: number) {
    this.size = size;
    this.standby = standby;
    this.host = new UpgradeHost([this.#plan()], {}).wanted();
  }

  #plan() {
    const { size, standby } = this;
    return examplePlan({ size, standby, restarts: 1000, digest: `d${this.#digests}` });
  }

  happen(seen: Happening): void {
    const { host } = this;
    const units = [...host.sandboxes.values()];
    const one = 'which' in seen ? units[seen.which % Math.max(1, units.length)] : undefined;
    switch (seen.what) {
      case 'ready':
        if (one !== undefined) host.becomeReady(one);
        break;
      case 'die':
        if (one !== undefined) host.end(one, 11);
        break;
      case 'obey':
        this.#obey(units);
        break;
      case 'ill':
        if (one?.ready === true) host.fallIll(one, verdict(seen.of));
        break;
      case 'held':
        if (one?.killed === true) {
          one.held = true;
          host.observe({ kind: 'unkillable', unit: one.unit });
        }
        break;
      case 'pass':
        host.pass(seen.ms);
        break;
      case 'reload':
        this.#digests++;
        host.plan = this.#plan();
        host.observe({ kind: 'reload' });
        break;
      case 'rollback':
        host.observe({ kind: 'rollback-asked', by: 'test', why: undefined });
        break;
      case 'judged':
        host.judge(seen.as);
        break;
      case 'recycle':
        host.observe({ kind: 'recycle-asked', by: 'test' });
        break;
      case 'supervisor dies':
        host.doom(seen.after);
        break;
    }
    this.judge();
  }

  #obey(units: readonly RealSandbox[]): void {
    for (const one of units) if (one.killed || one.stopAsked) this.host.end(one, one.killed ? 9 : 15);
  }

  judge(): void {
    const { host, size, standby } = this;
    assert.equal(new Set(host.everStarted).size, host.everStarted.length, 'a unit was started twice');
    // As many again while the declaration changes.
    const beside = host.state.upgrade === undefined ? 0 : size;
    assert.ok(host.alive().length <= size + beside + standby + 1, `${host.alive().length} sandboxes live`);
    assert.ok([...host.sandboxes.values()].filter(({ frozen }) => frozen).length <= 1);
    for (const blow of host.blows.slice(this.#judged)) {
      if (blow.kind === 'stop') continue;
      const of = blow.verdict?.class;
      assert.ok(of !== undefined, `'${blow.unit}' was killed though it was well`);
      if (!SERVES_NO_MORE.includes(of))
        assert.ok(blow.othersServe > 0 || blow.servedBefore === 0, `${blow.unit} was the last that served`);
      const before = this.#lastHeal;
      const isFree = before === undefined || blow.seatedBefore >= size || blow.at - before.at >= START_MS;
      assert.ok(isFree, `'${blow.unit}' is healed while '${before?.unit}' still is`);
      this.#lastHeal = blow;
    }
    this.#judged = host.blows.length;
  }

  /** Nothing else goes wrong: then all has to be well after a while. */
  settle(): void {
    const { host, size, standby } = this;
    host.doom(Number.POSITIVE_INFINITY);
    for (let n = 0; n < 60; n++) {
      this.#obey([...host.sandboxes.values()]);
      for (const one of [...host.sandboxes.values()]) host.becomeReady(one);
      host.pass(10_000);
      this.judge();
    }
    const living = host.alive();
    const picture = JSON.stringify(living);
    assert.equal(host.state.phase, 'on');
    assert.equal(host.serving().length, size, picture);
    assert.equal(living.filter(({ gate }) => gate === 'held').length, standby, picture);
    assert.ok(
      living.every(({ digest, ill }) => digest === host.state.plan?.digest && ill === undefined),
      picture,
    );
    const open = host.state.open.filter(({ incident }) => incident.verdict.class !== 'unkillable');
    assert.deepEqual(open, []);
    assert.equal(new Set(host.over).size, host.over.length, 'an incident was over twice');
    for (const id of host.over) assert.ok(host.incidents.has(id), `${id} was over and never opened`);
    assert.deepEqual(host.state.chains, []);
    // No change of the declaration is half done.
    assert.equal(host.state.upgrade, undefined);
    assert.equal(host.shares[host.state.slot], 100);
    assert.ok(living.every(({ slot }) => slot === host.state.slot));
    // Only what the kernel holds is left beside them.
    assert.ok([...host.sandboxes.values()].every((one) => living.includes(one) || one.held));
  }
}

describe('decisions in hard times', function () {
  this.timeout(60_000);

  it('heal one at a time, keep what serves, start no more than is declared, and lose or double nothing', () => {
    const scene = fc.record({ size: fc.integer({ min: 1, max: 4 }), standby: fc.integer({ min: 0, max: 2 }) });
    fc.assert(
      fc.property(scene, fc.array(happening, { maxLength: 60 }), ({ size, standby }, happenings) => {
        const trial = new Trial(size, standby);
        for (const seen of happenings) trial.happen(seen);
        trial.settle();
      }),
      { numRuns: tries(150) },
    );
  });

  it('end with every chain, whatever its steps are, when nothing helps', () => {
    const times = fc.oneof(fc.constant('any' as const), fc.integer({ min: 1, max: 3 }));
    const common = { delayMs: fc.nat(2000), times, risky: fc.boolean() };
    const kinds = ['restart', 'replace', 'recycle', 'freeze', 'quarantine', 'notify'] as const;
    const step: fc.Arbitrary<Step> = fc.oneof(
      fc.record({ kind: fc.constantFrom(...kinds), ...common }),
      fc.record({
        kind: fc.constant('raise' as const),
        limit: fc.constantFrom('memory' as const, 'tasks' as const, 'files' as const),
        by: fc.record({ percent: fc.integer({ min: 1, max: 100 }) }),
        most: fc.integer({ min: 1, max: 4000 }),
        ...common,
      }),
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 5 }), fc.boolean(), (chain, risky) => {
        const machine = new SimulatedMachine(examplePlan({ size: 2, restarts: 3, chains: { exit: chain } }));
        machine.riskyAllowed = risky;
        machine.observe({ kind: 'wanted', invocation: 'i1', automatic: false });
        for (let n = 0; n < 300 && machine.state.phase === 'on'; n++) {
          for (const unit of machine.unitsIn('starting')) {
            machine.observe({ kind: 'exited', unit, exit: { how: 'exited', status: 1 } });
            machine.observe({ kind: 'cleared', unit });
          }
          machine.pass(2000);
        }
        assert.equal(machine.state.phase, 'failed', `${machine.everStarted.length} starts`);
      }),
      { numRuns: tries(150) },
    );
  });
});
