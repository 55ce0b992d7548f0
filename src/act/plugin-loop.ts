import type { Clock, Owned } from '../base/clock.ts';
import type { Failure } from '../base/failure.ts';
import { asFailure } from '../base/failure.ts';
import { decide } from '../decide/decide.ts';
import { isOpening, type Moment } from '../decide/draft.ts';
import type { Observation } from '../decide/observation.ts';
import type { AnchorWord, Order, RunOrder } from '../decide/order.ts';
import type { PluginState } from '../decide/plugin-state.ts';
import type { Incident } from '../diagnose/incident.ts';
import type { Gate, PluginPlan, StartOrder } from '../plan/plan.ts';
import type { RanCommand } from './run-command.ts';

/** What orders are carried out with. */
export interface Hands {
  readonly clock: Clock;
  /** From 0 up to 1. */
  random(): number;
  /** Wall clock, ms since 1970. */
  wall(): number;
  /** Whether the plan's risky steps may be taken now. */
  riskyAllowed(plan: PluginPlan | undefined): boolean;
  /** So many more sandboxes that cannot be killed may be replaced on this node. */
  unkillableRoom(): number;
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
  /** Kills the payload without asking it first. */
  killSandbox(unit: string): Promise<void>;
  freezeSandbox(unit: string): Promise<void>;
  gateSandbox(unit: string, gate: Gate): Promise<void>;
  /** Reads what is to be seen of the living before it returns; a bundle that exists is left as it is. */
  openIncident(incident: Incident): void;
  incidentStep(id: string, text: string): void;
  incidentOver(id: string, text: string): void;
  /** Runs a command on the host. Never rejects for how it ended. */
  run(order: RunOrder): Promise<RanCommand>;
  /** How it ended is durable: nobody will ask again. */
  forgetRun(order: RunOrder): Promise<void>;
  clearSandbox(unit: string): Promise<void>;
  forgetSandbox(unit: string): void;
  tell(plugin: string, word: AnchorWord): void;
  note(plugin: string, note: Extract<Order, { kind: 'note' }>): void;
  /** Makes the state durable. Called before any order of the same decision is carried out. */
  save(state: PluginState): void;
  /** An order could not be carried out, and nothing but what is seen of the sandbox tells what follows from that. */
  refused(plugin: string, order: Order, failure: Failure): void;
}

/** What is never urgent: it waits for what comes with it. */
const BACKGROUND: ReadonlySet<Observation['kind']> = new Set(['counted', 'messages-dropped', 'gate', 'limited']);

/**
 * One plugin's loop: observation -> decision -> durable state -> orders. The only place where its state changes.
 *
 * The first observation is decided at once. What else is seen of its sandboxes in the same turn of the event loop, as
 * when all of them die, is decided together at the end of that turn, with one state on disk.
 */
export class PluginLoop implements Owned {
  #state: PluginState;
  readonly #hands: Hands;
  readonly #queue: Observation[] = [];
  #deciding = false;
  /** The end of a turn in which something was decided, or waits to be. */
  #turnEnds: NodeJS.Immediate | undefined;
  #decidedInTurn = false;
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
    const waits = 'unit' in observation && (this.#decidedInTurn || BACKGROUND.has(observation.kind));
    if (!waits) {
      this.#decidedInTurn = true;
      this.#decideAll();
    }
    this.#endTurnLater();
  }

  /** Stops deciding; what runs goes on. */
  release(): void {
    this.#released = true;
    this.#wake?.release();
    clearImmediate(this.#turnEnds);
  }

  #endTurnLater(): void {
    this.#turnEnds ??= setImmediate(() => {
      this.#turnEnds = undefined;
      this.#decidedInTurn = false;
      this.#decideAll();
    });
  }

  #decideAll(): void {
    this.#deciding = true;
    try {
      while (this.#queue.length > 0) this.#decide(this.#queue.splice(0));
    } finally {
      this.#deciding = false;
    }
  }

  #decide(observations: readonly Observation[]): void {
    const before = this.#state;
    const decisions = observations.map((observation) => {
      const { state, orders } = decide(this.#state, observation, this.#moment());
      this.#state = state;
      return { orders, plan: state.plan };
    });
    if (this.#state !== before) this.#hands.save(this.#state);
    // What lets connections through again is not to wait for the end of another one's decision.
    for (const opens of [true, false]) {
      for (const { orders, plan } of decisions) {
        for (const order of orders) if (isOpening(order) === opens) this.#carryOut(order, plan);
      }
    }
  }

  #moment(): Moment {
    const hands = this.#hands;
    return {
      now: hands.clock.now(),
      random: hands.random(),
      wall: hands.wall(),
      riskyAllowed: hands.riskyAllowed(this.#state.plan),
      unkillableRoom: hands.unkillableRoom(),
    };
  }

  #carryOut(order: Order, plan: PluginPlan | undefined): void {
    const hands = this.#hands;
    const { plugin } = this.#state;
    const refused = (failure: Failure): void => hands.refused(plugin, order, failure);
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
      case 'kill':
        return this.#later(hands.killSandbox(order.unit), refused);
      case 'freeze':
        return this.#later(hands.freezeSandbox(order.unit), refused);
      case 'gate':
        return this.#later(hands.gateSandbox(order.unit, order.gate), refused);
      case 'incident':
        return hands.openIncident(order.incident);
      case 'incident-step':
        return hands.incidentStep(order.id, order.text);
      case 'incident-over':
        return hands.incidentOver(order.id, order.text);
      case 'run':
        return this.#run(order, refused);
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

  #run(order: RunOrder, refused: (failure: Failure) => void): void {
    const { incident } = order;
    this.#later(
      this.#hands.run(order).then((ran) => {
        this.observe({ kind: 'ran', incident, ...ran });
        return this.#hands.forgetRun(order);
      }),
      refused,
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
