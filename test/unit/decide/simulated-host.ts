import { decide } from '../../../src/decide/decide.ts';
import type { Observation } from '../../../src/decide/observation.ts';
import type { Order } from '../../../src/decide/order.ts';
import { initialState, type PluginState } from '../../../src/decide/plugin-state.ts';
import { type FoundSandbox, type RememberedState, remember, restoreState } from '../../../src/decide/restore.ts';
import { planOf } from '../../../src/decide/sides.ts';
import type { Incident } from '../../../src/diagnose/incident.ts';
import type { Verdict } from '../../../src/diagnose/verdict.ts';
import type { Gate, PluginPlan, SlotName } from '../../../src/plan/plan.ts';

/** What really is of a sandbox, whatever the supervisor believes. */
export interface RealSandbox {
  readonly unit: string;
  readonly slot: SlotName;
  readonly generation: number;
  readonly digest: string;
  ready: boolean;
  gate: Gate;
  ill: Verdict | undefined;
  stopAsked: boolean;
  killed: boolean;
  frozen: boolean;
  /** The kernel holds a task of it. */
  held: boolean;
}

/** What was ordered about a sandbox that lives, with what was true before. */
export interface Blow {
  readonly kind: 'kill' | 'stop' | 'freeze';
  readonly unit: string;
  readonly at: number;
  readonly verdict: Verdict | undefined;
  /** Others that get connections, and all that did, before this decision and after it. */
  readonly othersServe: number;
  readonly servedBefore: number;
  /** Ready ones that had a place in the pool, though one may be kept out of traffic for its score. */
  readonly seatedBefore: number;
}

type Before = Pick<Blow, 'servedBefore' | 'seatedBefore'>;

/**
 * A host on which one plugin runs. It only tells what happened, and its supervisor can be killed between any two orders:
 * the next one has what was written, and what there is.
 */
export class SimulatedHost {
  state: PluginState = initialState('hello');
  now = 1_000_000;
  plan: PluginPlan;
  readonly sandboxes = new Map<string, RealSandbox>();
  /** Names of records on disk. */
  readonly records = new Map<string, Pick<FoundSandbox, 'unit' | 'slot' | 'generation' | 'digest'>>();
  readonly everStarted: string[] = [];
  readonly blows: Blow[] = [];
  /** By id, as they were opened. */
  readonly incidents = new Map<string, Incident>();
  readonly over: string[] = [];
  supervisors = 1;
  isWanted = true;
  ordered = 0;
  #saved = '';
  #wakeAt: number | undefined;
  /** So many orders until the supervisor dies. */
  #lifeLeft = Number.POSITIVE_INFINITY;

  constructor(plan: PluginPlan) {
    this.plan = plan;
  }

  wanted(): this {
    this.observe({ kind: 'wanted', invocation: 'i1', automatic: false });
    return this;
  }

  /** The supervisor dies after so many more orders. */
  doom(orders: number): void {
    this.#lifeLeft = orders;
  }

  observe(observation: Observation): void {
    const { now } = this;
    const moment = { now, random: 0.5, wall: now, riskyAllowed: true, unkillableRoom: 3 };
    const seated = this.alive().filter(({ unit, ready }) => {
      return ready && this.state.sandboxes.get(unit)?.standby === false;
    }).length;
    const { state, orders } = decide(this.state, observation, moment);
    this.state = state;
    this.#saved = JSON.stringify(remember(state));
    const before = { servedBefore: this.serving().length, seatedBefore: seated };
    const answers: Observation[] = [];
    for (const order of orders) {
      this.ordered++;
      if (this.#lifeLeft-- <= 0) return this.#nextSupervisor();
      this.#carryOut(order, before, answers);
    }
    for (const answer of answers) this.observe(answer);
  }

  /** Those that really get connections. */
  serving(): RealSandbox[] {
    return this.alive().filter(({ ready, gate }) => ready && gate === 'open');
  }

  alive(): RealSandbox[] {
    return [...this.sandboxes.values()].filter((one) => !one.stopAsked && !one.killed && !one.frozen);
  }

  becomeReady(one: RealSandbox): void {
    if (one.killed || one.stopAsked || one.frozen) return;
    one.ready = true;
    this.observe({ kind: 'became-ready', unit: one.unit });
  }

  /** Its payload ends, and then its unit. */
  end(one: RealSandbox, status: number): void {
    if (one.held) return;
    this.sandboxes.delete(one.unit);
    const before = this.supervisors;
    this.observe({ kind: 'exited', unit: one.unit, exit: { how: 'killed', status } });
    // The next supervisor has found that it is gone.
    if (this.supervisors === before) this.observe({ kind: 'cleared', unit: one.unit });
  }

  fallIll(one: RealSandbox, verdict: Verdict): void {
    if (one.killed || one.stopAsked || one.frozen) return;
    one.ill ??= verdict;
    this.observe({ kind: 'diagnosed', unit: one.unit, verdict: one.ill });
  }

  pass(ms: number): void {
    const until = this.now + ms;
    for (let n = 0; n < 1000 && this.#wakeAt !== undefined && this.#wakeAt <= until; n++) {
      this.now = Math.max(this.now, this.#wakeAt);
      this.#wakeAt = undefined;
      this.observe({ kind: 'woke' });
    }
    this.now = until;
  }

  /** Maps do not come back from JSON; nothing of the plans but their origins is one. */
  #remembered(): RememberedState {
    const stored = JSON.parse(this.#saved);
    for (const plan of [stored.plan, stored.previous, stored.upgrade?.plan])
      if (plan !== undefined) plan.origins = new Map();
    return stored;
  }

  /** What else is ordered, or comes of an order. */
  protected carryOutMore(_order: Order): Observation | undefined {
    return undefined;
  }

  #carryOut(order: Order, before: Before, answers: Observation[]): void {
    switch (order.kind) {
      case 'load':
        return void answers.push({ kind: 'declared', plan: this.plan, declared: 'v1' });
      case 'listen':
        if (order.upgrade !== undefined) break;
        return void answers.push({ kind: 'listening' });
      case 'start':
        return this.#start(order);
      case 'limit':
        return void answers.push({ kind: 'limited', unit: order.unit, limits: this.plan.limitsDigest });
      case 'gate': {
        const one = this.sandboxes.get(order.unit);
        if (one !== undefined) one.gate = order.gate;
        return;
      }
      case 'kill':
      case 'stop':
      case 'freeze':
        this.carryOutMore(order);
        return this.#strike(order.kind, order.unit, before);
      case 'forget':
        return void this.records.delete(order.unit);
      case 'wake':
        this.#wakeAt = order.at;
        return;
      case 'incident':
        return void this.incidents.set(order.incident.id, order.incident);
      case 'incident-over':
        return void this.over.push(order.id);
      default:
    }
    const answer = this.carryOutMore(order);
    if (answer !== undefined) answers.push(answer);
  }

  #start({ unit, slot, generation, standby }: Extract<Order, { kind: 'start' }>): void {
    const { digest, declaration } = planOf(this.state, slot) ?? this.plan;
    this.everStarted.push(unit);
    this.records.set(unit, { unit, slot, generation, digest });
    const gate = standby || declaration.health.readiness !== undefined ? 'held' : 'open';
    const well = { ready: false, ill: undefined, stopAsked: false, killed: false, frozen: false, held: false };
    this.sandboxes.set(unit, { unit, slot, generation, digest, gate, ...well });
  }

  #strike(kind: Blow['kind'], unit: string, before: Before): void {
    const one = this.sandboxes.get(unit);
    if (one === undefined) return;
    if (!one.killed && !one.stopAsked && !one.frozen) {
      const othersServe = this.serving().filter((other) => other !== one).length;
      this.blows.push({ kind, unit, at: this.now, verdict: one.ill, othersServe, ...before });
    }
    if (kind === 'kill') one.killed = true;
    if (kind === 'stop') one.stopAsked = true;
    if (kind === 'freeze') one.frozen = true;
  }

  #nextSupervisor(): void {
    this.#lifeLeft = Number.POSITIVE_INFINITY;
    this.supervisors++;
    this.#wakeAt = undefined;
    const found = [...this.records.values()].map((record): FoundSandbox => {
      const one = this.sandboxes.get(record.unit);
      const life = one === undefined ? 'starting' : one.stopAsked ? 'stopping' : one.ready ? 'ready' : 'starting';
      const readyAt = life === 'ready' ? this.now : undefined;
      const isThere = one !== undefined;
      return { ...record, limits: this.plan.limitsDigest, life, isThere, readyAt, learning: false };
    });
    this.state = restoreState('hello', this.#remembered(), found);
    this.observe({ kind: 'resumed' });
    if (this.isWanted) this.observe({ kind: 'wanted', invocation: 'i1', automatic: true });
    else this.observe({ kind: 'unwanted' });
    for (const { unit } of found) if (!this.sandboxes.has(unit)) this.observe({ kind: 'cleared', unit });
  }
}
