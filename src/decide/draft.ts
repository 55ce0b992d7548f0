import { nextState } from '../base/state-table.ts';
import type { Gate } from '../plan/plan.ts';
import type { Reason } from './observation.ts';
import type { AnchorWord, NoteKind, Order } from './order.ts';
import type { PluginState, SandboxEntry } from './plugin-state.ts';
import type { SandboxEvent } from './sandbox-life.ts';
import { SANDBOX_LIFE } from './sandbox-life.ts';

/** What a decision may depend on besides state and observation. */
export interface Moment {
  /** Monotonic ms. */
  readonly now: number;
  /** From 0 up to 1, for jitter. */
  readonly random: number;
  /** Wall clock, ms since 1970; for the names of incidents only. */
  readonly wall: number;
  /** Whether steps that are risky may be taken now. */
  readonly riskyAllowed: boolean;
  /** So many more sandboxes that cannot be killed may be replaced on this node. */
  readonly unkillableRoom: number;
}

type Note = Extract<Order, { kind: 'note' }>;

/** One decision in the making: the state that changes in one place, and the orders so far. Lives for a single decision. */
export class Draft {
  state: PluginState;
  readonly orders: Order[] = [];
  readonly moment: Moment;
  /** What this decision does about a failure, in words. */
  readonly deeds: string[] = [];
  /** By the id of an incident that went on: what happened. */
  readonly again = new Map<string, string>();
  #wakeAt: number | undefined;

  constructor(state: PluginState, moment: Moment) {
    this.state = state;
    this.moment = moment;
  }

  order(order: Order): void {
    this.orders.push(order);
  }

  tell(word: AnchorWord): void {
    this.order({ kind: 'tell', word });
  }

  note(
    what: NoteKind,
    unit: string | undefined,
    code: Reason['code'] | undefined,
    text: string,
    about: Omit<Note, 'kind' | 'what' | 'unit' | 'code' | 'text'> = {},
  ): void {
    this.order({ kind: 'note', what, unit, code, text, ...about });
  }

  /** The only place where a sandbox's life changes. False when the event changes nothing. */
  change(unit: string, event: SandboxEvent, also: Partial<SandboxEntry>): boolean {
    const sandbox = this.state.sandboxes.get(unit);
    if (sandbox === undefined) return false;
    const life = nextState(SANDBOX_LIFE, sandbox.life, event);
    if (life === undefined) return false;
    const stopSince = life === 'stopping' ? this.moment.now : sandbox.stopSince;
    this.put({ ...sandbox, ...also, life, stopSince });
    return true;
  }

  put(entry: SandboxEntry): void {
    this.set({ sandboxes: new Map(this.state.sandboxes).set(entry.unit, entry) });
  }

  drop(unit: string): void {
    const sandboxes = new Map(this.state.sandboxes);
    sandboxes.delete(unit);
    this.set({ sandboxes });
  }

  set(change: Partial<PluginState>): void {
    this.state = { ...this.state, ...change };
  }

  /** Asks it to end, within the declared time or another one. */
  stop({ unit }: SandboxEntry, timeoutMs?: number): void {
    this.change(unit, 'stop-ordered', { asked: true });
    this.order({ kind: 'stop', unit, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
  }

  /** Ends it without asking. */
  kill({ unit }: SandboxEntry, also: Partial<SandboxEntry> = {}): void {
    this.change(unit, 'stop-ordered', { asked: true, ...also });
    this.order({ kind: 'kill', unit });
  }

  gate(sandbox: SandboxEntry, gate: Gate): void {
    this.put({ ...sandbox, gate, gateTries: 0 });
    this.order({ kind: 'gate', unit: sandbox.unit, gate });
  }

  /** There is something to be looked at again at this time, or before. */
  wakeBy(at: number): void {
    this.#wakeAt = Math.min(this.#wakeAt ?? at, at);
  }

  /**
   * The orders in the sequence in which they are to be carried out: first what lets connections through again, then what
   * callers wait to hear, then incidents, since the rest may destroy their evidence.
   */
  finish(): readonly Order[] {
    this.order({ kind: 'wake', at: this.#wakeAt });
    const rankOf = (order: Order): number => {
      if (isOpening(order)) return 0;
      return order.kind === 'crashed' ? 1 : order.kind === 'incident' ? 2 : 3;
    };
    // The sort is stable.
    return [...this.orders].sort((one, other) => rankOf(one) - rankOf(other));
  }
}

/** It lets connections through again, or to where they are answered, which nothing else may delay. */
export function isOpening(order: Order): boolean {
  return order.kind === 'weigh' || (order.kind === 'gate' && order.gate === 'open');
}
