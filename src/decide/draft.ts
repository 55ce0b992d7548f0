import { nextState } from '../base/state-table.ts';
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

/** One decision in the making: the state that changes in one place, and the orders so far. Lives for a single decision. */
export class Draft {
  state: PluginState;
  readonly orders: Order[] = [];
  protected readonly moment: Moment;

  constructor(state: PluginState, moment: Moment) {
    this.state = state;
    this.moment = moment;
  }

  protected tell(word: AnchorWord): void {
    this.orders.push({ kind: 'tell', word });
  }

  protected note(
    what: NoteKind,
    unit: string | undefined,
    code: Reason['code'] | undefined,
    text: string,
    about: Pick<Extract<Order, { kind: 'note' }>, 'forbidden' | 'limit'> = {},
  ): void {
    this.orders.push({ kind: 'note', what, unit, code, text, ...about });
  }

  /** The only place where a sandbox's life changes. False when the event changes nothing. */
  protected change(unit: string, event: SandboxEvent, also: Partial<SandboxEntry>): boolean {
    const sandbox = this.state.sandboxes.get(unit);
    if (sandbox === undefined) return false;
    const life = nextState(SANDBOX_LIFE, sandbox.life, event);
    if (life === undefined) return false;
    this.put({ ...sandbox, ...also, life });
    return true;
  }

  protected put(entry: SandboxEntry): void {
    this.set({ sandboxes: new Map(this.state.sandboxes).set(entry.unit, entry) });
  }

  protected set(change: Partial<PluginState>): void {
    this.state = { ...this.state, ...change };
  }
}
