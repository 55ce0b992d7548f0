import type { Observation, Reason } from '../../../src/decide/observation.ts';
import type { LiveVersion, Order } from '../../../src/decide/order.ts';
import type { FailedPlan } from '../../../src/decide/upgrade.ts';
import type { Judgement, SideSignals } from '../../../src/diagnose/judge.ts';
import type { PluginPlan, SlotName } from '../../../src/plan/plan.ts';
import { type RealSandbox, SimulatedHost } from './simulated-host.ts';

/** How sandboxes of a version behave. */
export interface Manner {
  /** Ms from the order to READY; undefined: it never gets there, and is killed after `startTimeoutMs`. */
  readonly startMs?: number;
  readonly neverReady?: boolean;
  readonly diesAtStart?: boolean;
  readonly diesWithTraffic?: boolean;
  readonly diesAfterMs?: number;
  readonly verdict?: Judgement['verdict'];
  readonly unverified?: boolean;
  /** What it has never ends: it is killed when its time is over, and may not even go then. */
  readonly stopMs?: number;
  readonly unkillable?: boolean;
  readonly notCommitted?: boolean;
  readonly notSwitched?: boolean;
}

const STEP_MS = 250;
const LOOK_MS = 1000;
const KILLED_FOR_MS = 2000;
const START_TIMEOUT_MS = 5000;
const NO_ONE: SideSignals = {
  sandboxes: 0,
  unready: 0,
  deaths: 0,
  ill: 0,
  restarts: 0,
  requests: undefined,
  errors: undefined,
  latency: undefined,
  queued: undefined,
  inHand: undefined,
  memoryBytes: undefined,
  memoryPerMinute: undefined,
  source: undefined,
};

/** What is durable of versions. */
interface VersionRecord extends LiveVersion {
  readonly underWay: string | undefined;
  readonly failed: readonly FailedPlan[];
}

/**
 * A host with two slots, shares of new connections, and a record of versions. Sandboxes start, end and fail as their
 * version does, while time passes.
 */
export class UpgradeHost extends SimulatedHost {
  /** Percent of the new connections. */
  readonly shares: Record<SlotName, number> = { a: 100, b: 0 };
  record: VersionRecord = { version: 'v1', previous: undefined, declared: 'v1', underWay: undefined, failed: [] };
  readonly orders: Order[] = [];
  /** Why what serves is nothing to go back to. */
  noWayBack: Reason | undefined;
  /** In place: the version that all sandboxes see, and who was told of it. */
  sees: string | undefined = 'v1';
  readonly signalled: string[] = [];
  readonly #plans: ReadonlyMap<string, PluginPlan>;
  readonly #manners: ReadonlyMap<string, Manner>;
  readonly #since = new Map<string, number>();
  readonly #stopping = new Map<string, { since: number; timeoutMs: number }>();
  readonly #fenced = new Set<string>();
  #lookedAt = 0;
  /** Orders of upgrades are not answered, or only some time later. */
  deaf = false;
  lags = false;
  readonly #late: { readonly answer: Observation; readonly to: number }[] = [];
  declared = 'v1';

  constructor(plans: readonly PluginPlan[], manners: Readonly<Record<string, Manner>>) {
    const [first] = plans;
    if (first === undefined) throw new Error('no plan');
    super(first);
    this.#plans = new Map(plans.map((plan) => [plan.version ?? '', plan]));
    this.#manners = new Map(Object.entries(manners));
  }

  /** Runs until nothing of an upgrade is left, for so long at most. */
  live(ms: number, each: () => void = () => {}): void {
    const until = this.now + ms;
    while (this.now < until) {
      each();
      this.#answerLate();
      this.pass(STEP_MS);
      each();
      for (const one of [...this.sandboxes.values()]) this.#age(one);
      this.#look();
      each();
    }
  }

  /** Sandboxes that use memory, but for what the kernel holds. */
  present(): RealSandbox[] {
    return [...this.sandboxes.values()].filter(({ unit }) => !this.#fenced.has(unit));
  }

  /** Those of a slot that answer. */
  able(slot: SlotName): RealSandbox[] {
    return this.serving().filter((one) => one.slot === slot);
  }

  protected override carryOutMore(order: Order): Observation | undefined {
    this.orders.push(order);
    if (this.deaf) return undefined;
    const answer = this.#answer(order);
    if (!this.lags || answer === undefined) return answer;
    this.#late.push({ answer, to: this.supervisors });
    return undefined;
  }

  /** What comes with the time; what was meant for a supervisor that is dead is lost. */
  #answerLate(): void {
    for (const { answer, to } of this.#late.splice(0)) if (to === this.supervisors) this.observe(answer);
  }

  #answer(order: Order): Observation | undefined {
    switch (order.kind) {
      case 'plan-version': {
        const { id, version } = order;
        const name = version === 'previous' ? this.record.previous : version === 'declared' ? undefined : version.named;
        const plan = version === 'declared' ? this.plan : this.#plans.get(name ?? '');
        if (plan !== undefined) return { kind: 'upgrade-planned', id, plan, declared: this.declared };
        return { kind: 'upgrade-unplannable', id, reason: { code: 'BH201', text: `'${name}'` } };
      }
      case 'listen':
        return { kind: 'listening', upgrade: order.upgrade };
      case 'verify':
        return this.#manner(order.plan.version).unverified === true
          ? { kind: 'unverified', id: order.id, reason: { code: 'BH601', text: 'another digest' } }
          : { kind: 'verified', id: order.id, noWayBack: this.noWayBack };
      case 'weigh':
        this.shares[order.live] = 100 - order.weight;
        this.shares[order.live === 'a' ? 'b' : 'a'] = order.weight;
        return { kind: 'weighed', live: order.live, weight: order.weight };
      case 'begin-upgrade':
        this.record = { ...this.record, underWay: order.version };
        return undefined;
      case 'commit': {
        const { id, version, previous, declared } = order;
        if (this.#manner(version).notCommitted === true)
          return { kind: 'not-committed', id, reason: { code: 'BH601', text: 'no space left on device' } };
        this.record = { ...this.record, version, previous, declared };
        return { kind: 'committed', id };
      }
      case 'end-upgrade': {
        const { version, previous, declared, failed } = order;
        this.record = { version, previous, declared, failed, underWay: undefined };
        return { kind: 'upgrade-ended' };
      }
      case 'switch':
        if (this.#manner(order.version).notSwitched === true)
          return {
            kind: 'not-switched',
            id: order.id,
            version: order.version,
            reason: { code: 'BH601', text: 'EINVAL' },
          };
        this.sees = order.version;
        return { kind: 'switched', id: order.id, version: order.version };
      case 'signal':
        this.signalled.push(`${order.unit} ${order.signal} ${this.sees}`);
        return undefined;
      case 'stop':
        this.#stopping.set(order.unit, { since: this.now, timeoutMs: order.timeoutMs ?? 30_000 });
        return undefined;
      default:
        return undefined;
    }
  }

  /** What happens to it as time goes by. */
  #age(one: RealSandbox): void {
    const { unit } = one;
    const {
      startMs = 500,
      neverReady,
      diesAtStart,
      diesWithTraffic,
      diesAfterMs,
      stopMs = 200,
      unkillable,
    } = this.#mannerOf(one);
    const began = this.#since.get(unit) ?? this.now;
    this.#since.set(unit, began);
    if (this.#fenced.has(unit)) return;
    const stop = this.#stopping.get(unit);
    if (one.killed || (stop !== undefined && one.stopAsked)) return this.#ends(one, stop, stopMs, unkillable === true);
    if (one.stopAsked) {
      this.#stopping.set(unit, { since: this.now, timeoutMs: 30_000 });
      return;
    }
    if (!one.ready) {
      if (this.now - began < startMs) return;
      if (diesAtStart === true) return this.end(one, 11);
      if (neverReady === true) return this.#giveUp(one, this.now - began);
      return this.becomeReady(one);
    }
    if (diesWithTraffic === true && this.shares[one.slot] > 0) return this.end(one, 11);
    if (diesAfterMs !== undefined && this.now - began >= diesAfterMs) this.end(one, 11);
  }

  #giveUp(one: RealSandbox, ms: number): void {
    if (ms < START_TIMEOUT_MS) return;
    this.sandboxes.delete(one.unit);
    const reason = { code: 'BH303', text: `sandbox '${one.unit}'` } as const;
    const before = this.supervisors;
    this.observe({ kind: 'start-failed', unit: one.unit, reason });
    if (this.supervisors === before) this.observe({ kind: 'cleared', unit: one.unit });
  }

  #ends(one: RealSandbox, stop: { since: number; timeoutMs: number } | undefined, stopMs: number, held: boolean): void {
    const asked = stop?.since ?? this.now - KILLED_FOR_MS;
    const isKilled = one.killed || this.now - asked >= (stop?.timeoutMs ?? 0);
    if (held) {
      if (!isKilled) return;
      one.held = true;
      this.#fenced.add(one.unit);
      return this.observe({ kind: 'unkillable', unit: one.unit });
    }
    if (isKilled || this.now - asked >= stopMs) this.end(one, isKilled ? 9 : 15);
  }

  /** The watch tells once a second what it sees. */
  #look(): void {
    const { upgrade } = this.state;
    if (upgrade === undefined || this.now - this.#lookedAt < LOOK_MS) return;
    if (upgrade.step !== 'canary' && upgrade.step !== 'baking') return;
    this.#lookedAt = this.now;
    this.judge(this.#manner(upgrade.to).verdict ?? 'good');
  }

  /** What the watch would say of the upgrade that is under way. */
  judge(verdict: Judgement['verdict']): void {
    const { upgrade } = this.state;
    if (upgrade === undefined) return;
    const reason = verdict === 'good' ? undefined : ({ signal: 'errors', text: 'errors: 40 of 100' } as const);
    const said = { signal: 'errors', old: '0 of 100', new: '40 of 100', bound: '1 points more', enough: true } as const;
    const rows = [{ ...said, bad: verdict === 'bad' }];
    const judgement: Judgement = { verdict, reason, rows, watchedMs: this.now - (upgrade.stageSince ?? this.now) };
    this.observe({ kind: 'signals', id: upgrade.id, old: NO_ONE, new: NO_ONE, judgement });
  }

  #mannerOf({ digest }: RealSandbox): Manner {
    if (this.plan.declaration.upgrade.way === 'in-place') return this.#manner(this.sees);
    const plan = [...this.#plans.values()].find((each) => each.digest === digest);
    return this.#manner(plan?.version);
  }

  #manner(version: string | undefined): Manner {
    return this.#manners.get(version ?? '') ?? {};
  }
}
