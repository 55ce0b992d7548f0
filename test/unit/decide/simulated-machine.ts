import { decide } from '../../../src/decide/decide.ts';
import type { Moment } from '../../../src/decide/draft.ts';
import type { Observation } from '../../../src/decide/observation.ts';
import type { Order } from '../../../src/decide/order.ts';
import type { PluginState } from '../../../src/decide/plugin-state.ts';
import { initialState } from '../../../src/decide/plugin-state.ts';
import type { Incident } from '../../../src/diagnose/incident.ts';
import type { PluginPlan } from '../../../src/plan/plan.ts';

/** A machine for decisions: what was ordered can be made to happen, in any sequence, with a clock of its own. */
export class SimulatedMachine {
  state: PluginState = initialState('hello');
  now = 1_000_000;
  random = 0.5;
  /** Orders of the last observation. */
  orders: readonly Order[] = [];
  readonly units = new Set<string>();
  readonly everStarted: string[] = [];
  /** Units whose limits were ordered to be set. */
  readonly limited: string[] = [];
  readonly told: string[] = [];
  readonly incidents: Incident[] = [];
  readonly steps: string[] = [];
  runs = 0;
  readonly over: string[] = [];
  riskyAllowed = true;
  room = 3;
  wakeAt: number | undefined;
  plan: PluginPlan;

  constructor(plan: PluginPlan) {
    this.plan = plan;
  }

  observe(observation: Observation): void {
    const { state, orders } = decide(this.state, observation, this.moment());
    this.state = state;
    this.orders = orders;
    for (const order of orders) this.#note(order);
    // What answers at once: its asynchrony is the loop's business.
    for (const order of orders) {
      const answer = this.#answer(order);
      if (answer !== undefined) this.observe(answer);
    }
  }

  #answer(order: Order): Observation | undefined {
    switch (order.kind) {
      case 'load':
        return { kind: 'declared', plan: this.plan };
      case 'listen':
        return { kind: 'listening', upgrade: order.upgrade };
      case 'plan-version':
        return { kind: 'upgrade-planned', id: order.id, plan: this.plan, declared: this.plan.version };
      case 'verify':
        return { kind: 'verified', id: order.id };
      case 'weigh':
        return { kind: 'weighed', live: order.live, weight: order.weight };
      case 'commit':
        return { kind: 'committed', id: order.id };
      case 'switch':
        return { kind: 'switched', id: order.id, version: order.version };
      default:
        return undefined;
    }
  }

  moment(): Moment {
    const { now, random } = this;
    return { now, random, wall: 1_764_106_440_000 + now, riskyAllowed: this.riskyAllowed, unkillableRoom: this.room };
  }

  /** Wanted, and all sandboxes ready. */
  started(): this {
    this.observe({ kind: 'wanted', invocation: 'i1', automatic: false });
    for (const unit of this.unitsIn('starting')) this.observe({ kind: 'became-ready', unit });
    return this;
  }

  die(unit: string, status = 9): void {
    this.observe({ kind: 'exited', unit, exit: { how: 'killed', status } });
    this.observe({ kind: 'cleared', unit });
  }

  /** Lets time pass until the next wake, or for `ms`. */
  pass(ms: number): void {
    const until = this.now + ms;
    while (this.wakeAt !== undefined && this.wakeAt <= until) {
      this.now = Math.max(this.now, this.wakeAt);
      this.wakeAt = undefined;
      this.observe({ kind: 'woke' });
    }
    this.now = until;
  }

  unitsIn(life: string): string[] {
    return [...this.state.sandboxes.values()].filter((sandbox) => sandbox.life === life).map(({ unit }) => unit);
  }

  #note(order: Order): void {
    if (order.kind === 'start') {
      this.units.add(order.unit);
      this.everStarted.push(order.unit);
    }
    if (order.kind === 'incident' && !this.incidents.some(({ id }) => id === order.incident.id))
      this.incidents.push(order.incident);
    if (order.kind === 'run') this.runs++;
    if (order.kind === 'incident-step') this.steps.push(`${order.id} ${order.text}`);
    if (order.kind === 'incident-over') this.over.push(`${order.id} ${order.text}`);
    if (order.kind === 'limit') this.limited.push(order.unit);
    if (order.kind === 'forget') this.units.delete(order.unit);
    if (order.kind === 'wake') this.wakeAt = order.at;
    if (order.kind === 'tell') {
      const { word } = order;
      this.told.push(
        word.word === 'status'
          ? `status ${word.text}`
          : word.word === 'failed'
            ? `failed ${word.reason.code}`
            : word.word,
      );
    }
  }
}
