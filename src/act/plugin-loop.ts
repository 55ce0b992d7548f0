import type { Clock, Owned } from '../base/clock.ts';
import type { Failure } from '../base/failure.ts';
import { asFailure } from '../base/failure.ts';
import { decide } from '../decide/decide.ts';
import { isOpening, type Moment } from '../decide/draft.ts';
import type { Observation, Reason } from '../decide/observation.ts';
import type { AnchorWord, Crash, Order, RunOrder, WantedVersion } from '../decide/order.ts';
import type { PluginState } from '../decide/plugin-state.ts';
import { planOf, plansInForce, weightsOf } from '../decide/sides.ts';
import type { FailedPlan } from '../decide/upgrade.ts';
import type { Incident } from '../diagnose/incident.ts';
import type { BySlot, Gate, PluginPlan, SlotName, StartOrder, Weights } from '../plan/plan.ts';
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
  /**
   * Reads declaration and host. Throws a Failure that names the first problem.
   * @param isChanging whether a change of version is under way; what the durable record says of one otherwise is of before
   *   the host went down, and over
   */
  load(plugin: string, isChanging: boolean): Promise<LoadedDeclaration>;
  /**
   * Makes the sockets of all plans in force, from which the slots get connections as they are weighed, and the slice.
   * Throws BH206, BH207, BH220, BH504.
   */
  prepare(plugin: string, plans: BySlot<PluginPlan>, weights: Weights): Promise<void>;
  /** Gives up sockets and slice. */
  retire(plugin: string): void;
  startSandbox(plan: PluginPlan, order: StartOrder): Promise<void>;
  /** Gives a living sandbox the plan's limits. */
  limitSandbox(unit: string, plan: PluginPlan): Promise<void>;
  /** @param timeoutMs when it is killed; undefined: as declared. */
  stopSandbox(unit: string, timeoutMs: number | undefined): Promise<void>;
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
  /** Throws a Failure that names what is wrong with the version. */
  planVersion(plugin: string, version: WantedVersion): Promise<PlannedVersion>;
  /** Throws a Failure that says why it may not be started beside the live one. */
  verify(order: Extract<Order, { kind: 'verify' }>): Promise<Failure | undefined>;
  /** In force when it returns. */
  weigh(plugin: string, live: SlotName, weight: number): Promise<void>;
  /** Durable when it returns. */
  recordUpgrade(plugin: string, order: Extract<Order, { kind: UpgradeRecord }>): Promise<void>;
  switchVersion(plugin: string, order: Extract<Order, { kind: 'switch' }>): Promise<void>;
  signalSandbox(unit: string, signal: string): Promise<void>;
  /** Tells whoever calls the plugin. */
  crashed(plugin: string, crash: Crash): void;
  clearSandbox(unit: string): Promise<void>;
  forgetSandbox(unit: string): void;
  tell(plugin: string, word: AnchorWord): void;
  note(plugin: string, note: Extract<Order, { kind: 'note' }>): void;
  /** Makes the state durable. Called before any order of the same decision is carried out. */
  save(state: PluginState): void;
  /** An order could not be carried out, and nothing but what is seen of the sandbox tells what follows from that. */
  refused(plugin: string, order: Order, failure: Failure): void;
}

/** The plan as it is declared now, and plans that failed, of which it may be one. */
export interface LoadedDeclaration extends PlannedVersion {
  readonly failed: readonly FailedPlan[];
}

/** A version with the declaration that is laid over it. */
export interface PlannedVersion {
  readonly plan: PluginPlan;
  /** The version that the declaration itself names. */
  readonly declared: string | undefined;
}

export type UpgradeRecord = 'begin-upgrade' | 'commit' | 'end-upgrade';

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
      return { orders, state };
    });
    if (this.#state !== before) this.#hands.save(this.#state);
    // What lets connections through again is not to wait for the end of another one's decision.
    for (const opens of [true, false]) {
      for (const { orders, state } of decisions) {
        for (const order of orders) if (isOpening(order) === opens) this.#carryOut(order, state);
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

  /** @param state as it was decided, of which the order is a part. */
  #carryOut(order: Order, state: PluginState): void {
    const hands = this.#hands;
    const { plugin } = state;
    const refused = (failure: Failure): void => hands.refused(plugin, order, failure);
    switch (order.kind) {
      case 'load':
        return this.#later(
          hands
            .load(plugin, state.upgrade !== undefined)
            .then((loaded) => this.observe({ kind: 'declared', ...loaded })),
          (failure) => this.observe({ kind: 'undeclarable', reason: reasonOf(failure) }),
        );
      case 'listen':
        return this.#listen(order.upgrade, state);
      case 'unlisten':
        return hands.retire(plugin);
      case 'start':
        return this.#start(order, planOf(state, order.slot));
      case 'limit':
        return this.#limit(order.unit, planOf(state, state.sandboxes.get(order.unit)?.slot ?? state.slot));
      case 'stop':
        return this.#later(hands.stopSandbox(order.unit, order.timeoutMs), () => {});
      case 'kill':
        return this.#later(hands.killSandbox(order.unit), refused);
      case 'freeze':
        return this.#later(hands.freezeSandbox(order.unit), refused);
      case 'gate':
        return this.#later(hands.gateSandbox(order.unit, order.gate), refused);
      case 'crashed':
        return hands.crashed(plugin, order);
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
      case 'plan-version':
        return this.#planVersion(order.id, order.version);
      case 'verify':
        return this.#later(
          hands.verify(order).then((noWayBack) => {
            const reason = noWayBack === undefined ? undefined : reasonOf(noWayBack);
            this.observe({ kind: 'verified', id: order.id, noWayBack: reason });
          }),
          (failure) => this.observe({ kind: 'unverified', id: order.id, reason: reasonOf(failure) }),
        );
      case 'weigh':
        return this.#weigh(order.live, order.weight);
      case 'begin-upgrade':
        return this.#later(hands.recordUpgrade(plugin, order), refused);
      case 'end-upgrade':
        return this.#later(
          hands.recordUpgrade(plugin, order).then(() => this.observe({ kind: 'upgrade-ended' })),
          refused,
        );
      case 'commit':
        return this.#later(
          hands.recordUpgrade(plugin, order).then(() => this.observe({ kind: 'committed', id: order.id })),
          (failure) => this.observe({ kind: 'not-committed', id: order.id, reason: reasonOf(failure) }),
        );
      case 'switch':
        return this.#switch(order);
      case 'signal':
        return this.#later(hands.signalSandbox(order.unit, order.signal), refused);
      case 'wake':
        return this.#setWake(order.at);
      case 'tell':
        return hands.tell(plugin, order.word);
      case 'note':
        return hands.note(plugin, order);
    }
  }

  #listen(upgrade: string | undefined, state: PluginState): void {
    const plans = plansInForce(state);
    if (plans.a === undefined && plans.b === undefined) return;
    this.#later(
      this.#hands
        .prepare(state.plugin, plans, weightsOf(state))
        .then(() => this.observe({ kind: 'listening', upgrade })),
      (failure) => this.observe({ kind: 'not-listening', upgrade, reason: reasonOf(failure) }),
    );
  }

  #start(order: Extract<Order, { kind: 'start' }>, plan: PluginPlan | undefined): void {
    if (plan === undefined) return;
    this.#later(this.#hands.startSandbox(plan, order), (failure) =>
      this.observe({ kind: 'start-failed', unit: order.unit, reason: reasonOf(failure) }),
    );
  }

  #planVersion(id: string, version: WantedVersion): void {
    this.#later(
      this.#hands.planVersion(this.#state.plugin, version).then((planned) => {
        this.observe({ kind: 'upgrade-planned', id, ...planned });
      }),
      (failure) => this.observe({ kind: 'upgrade-unplannable', id, reason: reasonOf(failure) }),
    );
  }

  #weigh(live: SlotName, weight: number): void {
    this.#later(
      this.#hands.weigh(this.#state.plugin, live, weight).then(() => this.observe({ kind: 'weighed', live, weight })),
      (failure) => this.observe({ kind: 'not-weighed', live, weight, reason: reasonOf(failure) }),
    );
  }

  #switch(order: Extract<Order, { kind: 'switch' }>): void {
    const { id, version } = order;
    this.#later(
      this.#hands.switchVersion(this.#state.plugin, order).then(() => this.observe({ kind: 'switched', id, version })),
      (failure) => this.observe({ kind: 'not-switched', id, version, reason: reasonOf(failure) }),
    );
  }

  #limit(unit: string, plan: PluginPlan | undefined): void {
    if (plan === undefined) return;
    const limits = plan.limitsDigest;
    this.#later(
      this.#hands.limitSandbox(unit, plan).then(() => this.observe({ kind: 'limited', unit, limits })),
      (failure) => this.observe({ kind: 'limit-refused', unit, limits, reason: reasonOf(failure) }),
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

function reasonOf({ code, message: text }: Failure): Reason {
  return { code, text };
}
