import type { Clock, Owned } from '../base/clock.ts';
import type { Failure } from '../base/failure.ts';
import { asFailure } from '../base/failure.ts';
import { decide } from '../decide/decide.ts';
import type { Observation } from '../decide/observation.ts';
import type { AnchorWord, Order } from '../decide/order.ts';
import type { PluginState } from '../decide/plugin-state.ts';
import type { PluginPlan, StartOrder } from '../plan/plan.ts';

/** What orders are carried out with. */
export interface Hands {
  readonly clock: Clock;
  /** From 0 up to 1. */
  random(): number;
  /** Reads declaration and host. Throws a Failure that names the first problem. */
  load(plugin: string): Promise<PluginPlan>;
  /** Makes the sockets and the slice. Throws BH206, BH207, BH504. */
  prepare(plan: PluginPlan): Promise<void>;
  /** Gives up sockets and slice. */
  retire(plugin: string): void;
  startSandbox(plan: PluginPlan, order: StartOrder): Promise<void>;
  /** Gives a living sandbox the plan's limits. */
  limitSandbox(unit: string, plan: PluginPlan): Promise<void>;
  stopSandbox(unit: string): Promise<void>;
  clearSandbox(unit: string): Promise<void>;
  forgetSandbox(unit: string): void;
  tell(plugin: string, word: AnchorWord): void;
  note(plugin: string, note: Extract<Order, { kind: 'note' }>): void;
  /** Makes the state durable. Called before any order of the same decision is carried out. */
  save(state: PluginState): void;
}

/** One plugin's loop: observation -> decision -> durable state -> orders. The only place where its state changes. */
export class PluginLoop implements Owned {
  #state: PluginState;
  readonly #hands: Hands;
  readonly #queue: Observation[] = [];
  #deciding = false;
  #wake: Owned | undefined;
  #wakeAt: number | undefined;
  #released = false;

  constructor(state: PluginState, hands: Hands) {
    this.#state = state;
    this.#hands = hands;
  }

  get state(): PluginState {
    return this.#state;
  }

  observe(observation: Observation): void {
    if (this.#released) return;
    this.#queue.push(observation);
    if (this.#deciding) return;
    this.#deciding = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) this.#step(next);
    } finally {
      this.#deciding = false;
    }
  }

  /** Stops deciding; what runs goes on. */
  release(): void {
    this.#released = true;
    this.#wake?.release();
  }

  #step(observation: Observation): void {
    const before = this.#state;
    const moment = { now: this.#hands.clock.now(), random: this.#hands.random() };
    const { state, orders } = decide(before, observation, moment);
    this.#state = state;
    if (state !== before) this.#hands.save(state);
    for (const order of orders) this.#carryOut(order);
  }

  #carryOut(order: Order): void {
    const hands = this.#hands;
    const { plugin, plan } = this.#state;
    switch (order.kind) {
      case 'load':
        return this.#later(
          hands.load(plugin).then((loaded) => this.observe({ kind: 'declared', plan: loaded })),
          (failure) => this.observe({ kind: 'undeclarable', reason: { code: failure.code, text: failure.message } }),
        );
      case 'listen':
        if (plan === undefined) return;
        return this.#later(
          hands.prepare(plan).then(() => this.observe({ kind: 'listening' })),
          (failure) => this.observe({ kind: 'not-listening', reason: { code: failure.code, text: failure.message } }),
        );
      case 'unlisten':
        return hands.retire(plugin);
      case 'start':
        if (plan === undefined) return;
        return this.#later(hands.startSandbox(plan, order), (failure) =>
          this.observe({
            kind: 'start-failed',
            unit: order.unit,
            reason: { code: failure.code, text: failure.message },
          }),
        );
      case 'limit':
        if (plan === undefined) return;
        return this.#limit(order.unit, plan);
      case 'stop':
        return this.#later(hands.stopSandbox(order.unit), () => {});
      case 'clear':
        return this.#later(hands.clearSandbox(order.unit), () => {});
      case 'forget':
        return hands.forgetSandbox(order.unit);
      case 'wake':
        return this.#setWake(order.at);
      case 'tell':
        return hands.tell(plugin, order.word);
      case 'note':
        return hands.note(plugin, order);
    }
  }

  #limit(unit: string, plan: PluginPlan): void {
    const limits = plan.limitsDigest;
    this.#later(
      this.#hands.limitSandbox(unit, plan).then(() => this.observe({ kind: 'limited', unit, limits })),
      ({ code, message: text }) => this.observe({ kind: 'limit-refused', unit, limits, reason: { code, text } }),
    );
  }

  #later(work: Promise<void>, failed: (failure: Failure) => void): void {
    work.catch((error: unknown) => failed(asFailure(error)));
  }

  #setWake(at: number | undefined): void {
    if (at === this.#wakeAt) return;
    this.#wake?.release();
    this.#wakeAt = at;
    if (at === undefined) return;
    this.#wake = this.#hands.clock.after(Math.max(0, at - this.#hands.clock.now()), () => {
      this.#wakeAt = undefined;
      this.observe({ kind: 'woke' });
    });
  }
}
