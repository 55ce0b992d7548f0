import assert from 'node:assert/strict';
import type { UpgradeOutcome, UpgradeStep } from '../../../src/decide/upgrade.ts';
import { bearers } from '../../../src/decide/upgrade-ladder.ts';
import type { Declaration } from '../../../src/declare/declaration.ts';
import { surgeOf } from '../../../src/declare/upgrade.ts';
import type { PluginPlan } from '../../../src/plan/plan.ts';
import { examplePlan } from '../../support/plans.ts';
import { EACH } from '../../support/thorough.ts';
import { type Manner, UpgradeHost } from './upgrade-host.ts';

type Outcome = UpgradeOutcome['outcome'];

interface Scenario {
  readonly name: string;
  readonly old?: Manner;
  readonly next?: Manner;
  readonly size?: number;
  readonly nextSize?: number;
  readonly standby?: number;
  readonly surge?: Declaration['upgrade']['surge'];
  readonly judge?: Partial<Declaration['upgrade']['judge']>;
  readonly canary?: readonly number[];
  /** Done once, as soon as the upgrade is in the step. */
  readonly act?: { readonly at: UpgradeStep; readonly what: 'rollback' | 'stop' | 'old-dies' | 'reload' };
  readonly ends: readonly Outcome[];
  /** Sandboxes of the new side fail while they have traffic. */
  readonly fails?: boolean;
}

function planFor(scenario: Scenario, version: string, digest: string, size: number): PluginPlan {
  const { standby, surge = { percent: 100 }, judge = {}, canary = [5, 25] } = scenario;
  const defaults = examplePlan().declaration.upgrade;
  const upgrade = { canary, bakeMs: 1500, drainMs: 2000, surge, judge: { ...defaults.judge, ...judge } };
  return { ...examplePlan({ size, digest, upgrade, ...(standby === undefined ? {} : { standby }) }), version };
}

/** One upgrade from beginning to end, with everything that has to hold at each moment of it. */
class Trial {
  readonly host: UpgradeHost;
  readonly #scenario: Scenario;
  readonly #v1: PluginPlan;
  readonly #v2: PluginPlan;
  readonly reached: UpgradeStep[] = [];
  #acted = false;
  #hitAt = Number.NEGATIVE_INFINITY;

  constructor(scenario: Scenario) {
    const { size = 2, nextSize = size } = scenario;
    this.#scenario = scenario;
    this.#v1 = planFor(scenario, 'v1', 'd1', size);
    this.#v2 = planFor(scenario, 'v2', 'd2', nextSize);
    this.host = new UpgradeHost([this.#v1, this.#v2], { v1: scenario.old ?? {}, v2: scenario.next ?? {} });
    this.host.wanted().live(3000);
    // So that each step lasts long enough to be seen.
    this.host.lags = scenario.act !== undefined;
    this.host.ordered = 0;
  }

  /** @param orders after which the supervisor is killed. */
  run(orders: number): this {
    const { host } = this;
    host.doom(orders);
    host.observe({ kind: 'upgrade-asked', version: 'v2', by: 'uid 0', why: undefined, options: {} });
    host.live(45_000, () => this.#look());
    this.#settled();
    return this;
  }

  #look(): void {
    const { upgrade } = this.host.state;
    if (upgrade !== undefined && upgrade.step !== this.reached.at(-1)) this.reached.push(upgrade.step);
    this.#act();
    const { size = 2, nextSize = size, standby = 0, surge = { percent: 100 } } = this.#scenario;
    const most = Math.max(size, nextSize) + surgeOf(surge, nextSize) + standby;
    const { host } = this;
    const said = JSON.stringify({
      slot: host.state.slot,
      shares: host.shares,
      step: upgrade?.step,
      there: host.present(),
    });
    assert.ok(host.present().length <= most || this.#isExcused(), `more than ${most}: ${said}`);
    for (const slot of ['a', 'b'] as const) {
      const own = slot === 'a' ? size : nextSize;
      // With less room than for a whole side the old one grows again when it gets all of the traffic back.
      const growsBack = slot === 'a' && upgrade?.step === 'undoing' && surgeOf(surge, nextSize) < nextSize;
      const mayFail = (slot === 'b' && this.#scenario.fails === true) || growsBack;
      if (host.shares[slot] === 0 || mayFail || this.#isExcused()) continue;
      assert.ok(host.able(slot).length >= bearers(own, host.shares[slot]), `slot ${slot} is too small: ${said}`);
    }
  }

  /** What was done to it was done by the test. */
  #isExcused(): boolean {
    return this.host.now - this.#hitAt < 3000 || this.host.state.phase !== 'on';
  }

  #act(): void {
    const { act } = this.#scenario;
    const { host } = this;
    if (act === undefined || this.#acted || host.state.upgrade?.step !== act.at) return;
    this.#acted = true;
    const old = host.able('a')[0];
    switch (act.what) {
      case 'rollback':
        return host.observe({ kind: 'rollback-asked', by: 'uid 0', why: 'a test' });
      case 'reload':
        return host.observe({ kind: 'reload' });
      case 'stop':
        this.#hitAt = Number.POSITIVE_INFINITY;
        host.isWanted = false;
        return host.observe({ kind: 'unwanted' });
      case 'old-dies':
        this.#hitAt = host.now;
        if (old !== undefined) host.end(old, 11);
    }
  }

  #settled(): void {
    const { host } = this;
    const { state } = host;
    const { size = 2, nextSize = size, standby = 0 } = this.#scenario;
    assert.equal(state.upgrade, undefined, JSON.stringify(state.upgrade));
    const { outcome, kind } = state.lastUpgrade ?? {};
    const { act, ends } = this.#scenario;
    // A supervisor that dies may have gone through the step before anybody looks.
    const isExpected = act !== undefined && !this.#acted ? outcome === 'promoted' : ends.includes(outcome ?? 'refused');
    assert.ok(outcome !== undefined && isExpected, `${outcome} ${state.lastUpgrade?.reason?.text}`);
    if (act !== undefined && host.supervisors === 1) assert.ok(this.#acted);
    assert.equal(host.record.underWay, undefined);
    if (state.phase === 'off') return assert.deepEqual(host.present(), []);
    const live = outcome === 'promoted' && kind === 'upgrade' ? this.#v2 : this.#v1;
    assert.equal(state.plan?.digest, live.digest);
    assert.equal(host.record.version, live.version);
    assert.equal(host.shares[state.slot], 100);
    const wanted = live === this.#v1 ? size : nextSize;
    assert.equal(host.able(state.slot).length, wanted);
    assert.equal(host.present().length, wanted + standby);
    assert.ok(host.present().every(({ digest }) => digest === live.digest));
    if (outcome === 'rolled-back')
      assert.deepEqual(
        host.record.failed.map(({ version }) => version),
        ['v2'],
      );
  }
}

/** The same with the supervisor killed after each of its orders, one at a time. */
function killedAnywhere(scenario: Scenario): void {
  const { host } = new Trial(scenario).run(Number.POSITIVE_INFINITY);
  for (let order = 0; order < host.ordered; order += EACH) {
    try {
      new Trial(scenario).run(order);
    } catch (error) {
      throw new Error(`killed after order ${order}: ${(error as Error).message}`, { cause: error });
    }
  }
}

const SCENARIOS: readonly Scenario[] = [
  { name: 'that goes well', ends: ['promoted'] },
  { name: 'all at once', canary: [], ends: ['promoted'] },
  { name: 'with standbys', standby: 1, ends: ['promoted'] },
  { name: 'with room for one more sandbox', size: 4, surge: { count: 1 }, ends: ['promoted'] },
  {
    name: 'to a larger pool, with room for half of it',
    size: 2,
    nextSize: 5,
    surge: { percent: 50 },
    ends: ['promoted'],
  },
  { name: 'to a smaller pool', size: 4, nextSize: 2, surge: { count: 1 }, ends: ['promoted'] },
  { name: 'whose new side dies at its start', next: { diesAtStart: true }, ends: ['rolled-back'] },
  { name: 'whose new side dies with traffic', next: { diesWithTraffic: true }, ends: ['rolled-back'], fails: true },
  {
    name: 'whose new side dies with traffic, with room for one more sandbox',
    size: 3,
    surge: { count: 1 },
    canary: [50],
    next: { diesWithTraffic: true },
    ends: ['rolled-back'],
    fails: true,
  },
  { name: 'whose new side never gets ready', next: { neverReady: true }, ends: ['rolled-back'] },
  { name: 'whose new side is judged bad', next: { verdict: 'bad' }, ends: ['rolled-back'] },
  {
    name: 'whose new side is judged bad, with room for one more sandbox',
    size: 4,
    surge: { count: 1 },
    canary: [75],
    next: { verdict: 'bad' },
    ends: ['rolled-back'],
  },
  { name: 'without enough traffic', next: { verdict: 'few' }, ends: ['promoted'] },
  {
    name: 'without the traffic that it needs',
    next: { verdict: 'few' },
    judge: { few: 'rollback' },
    ends: ['rolled-back'],
  },
  {
    name: 'that waits for traffic which does not come',
    next: { verdict: 'few' },
    judge: { few: 'wait', waitMostMs: 3000 },
    ends: ['rolled-back'],
  },
  { name: 'whose version is damaged', next: { unverified: true }, ends: ['refused'] },
  { name: 'that cannot be made durable', next: { notCommitted: true }, ends: ['rolled-back'] },
  { name: 'whose old side does not end what it has', old: { stopMs: 1_000_000 }, ends: ['promoted'] },
  { name: 'whose old side cannot be killed', old: { unkillable: true }, ends: ['promoted'] },
  {
    name: 'that is undone, and whose new side cannot be killed',
    next: { verdict: 'bad', unkillable: true },
    ends: ['rolled-back'],
  },
];

/** What becomes of it when somebody goes back, or stops the plugin, while it is in the step. */
const STEPS: readonly [at: UpgradeStep, back: Outcome, stopped: Outcome][] = [
  ['planning', 'refused', 'aborted'],
  ['verifying', 'refused', 'aborted'],
  ['preparing', 'refused', 'aborted'],
  ['starting', 'rolled-back', 'aborted'],
  ['canary', 'rolled-back', 'aborted'],
  ['committing', 'rolled-back', 'aborted'],
  ['draining', 'promoted', 'promoted'],
];

describe('an upgrade', function () {
  // Hundreds of runs of a minute each, in time of their own.
  this.timeout(120_000);

  for (const scenario of SCENARIOS) it(scenario.name, () => void new Trial(scenario).run(Number.POSITIVE_INFINITY));

  for (const scenario of SCENARIOS)
    it(`${scenario.name}, with the supervisor killed after any of its orders`, () => killedAnywhere(scenario));

  for (const [at, back, stopped] of STEPS) {
    const cases: readonly [name: string, what: NonNullable<Scenario['act']>['what'], ends: Outcome][] = [
      ['that is rolled back', 'rollback', back],
      ['of a plugin that is stopped', 'stop', stopped],
      ['whose old side dies', 'old-dies', 'promoted'],
    ];
    for (const [name, what, ends] of cases)
      it(`${name} while it is ${at}, with the supervisor killed after any of its orders`, () =>
        killedAnywhere({ name, act: { at, what }, ends: [ends] }));
  }

  for (const what of ['rollback', 'stop', 'old-dies', 'reload'] as const)
    it(`that is being undone, when there is a ${what}, and the same`, () =>
      killedAnywhere({ name: what, next: { verdict: 'bad' }, act: { at: 'undoing', what }, ends: ['rolled-back'] }));
});
