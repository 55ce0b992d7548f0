import { type LimitCounters, NOTHING_COUNTED } from '../base/limit-counters.ts';
import type { Gate, PluginPlan, SlotName } from '../plan/plan.ts';
import type { OutOfMemory, Reaches } from './limit-reach.ts';
import type { Exit, Reason } from './observation.ts';
import type { SandboxLife } from './sandbox-life.ts';

/**
 * Where a plugin stands as a whole.
 *
 *   off       nobody wants it and nothing of it is left
 *   loading   it is wanted; its declaration is read and its sockets are made
 *   on        it is wanted; the pool is kept whole
 *   stopping  its sandboxes are being stopped; if it is wanted again by then, it starts anew
 *   failed    given up, with a reason, until somebody starts it again
 */
export type PluginPhase = 'off' | 'loading' | 'on' | 'stopping' | 'failed';

/** Everything that decisions about a plugin rest on. A plain value: `decide` makes a new one, nothing else does. */
export interface PluginState {
  readonly plugin: string;
  readonly phase: PluginPhase;
  /** Invocation of the anchor that wants the plugin; undefined: nobody does. */
  readonly invocation: string | undefined;
  /** The plan in force. A declaration that was edited meanwhile counts from the next start or reload. */
  readonly plan: PluginPlan | undefined;
  readonly sandboxes: ReadonlyMap<string, SandboxEntry>;
  /** The generation of the next sandbox; grows for ever, because a unit name can stay occupied. */
  readonly nextGeneration: number;
  readonly slot: SlotName;
  /** Rounds of deaths in a row without sustained health in between; sets the back-off. */
  readonly deathsInRow: number;
  /**
   * The first generation whose death begins a new round. Sandboxes that were started before the last round began are
   * part of it: what kills a whole pool at once is one misfortune, not as many as the pool is large.
   */
  readonly roundBegan: number;
  /** Monotonic times (ms) of the rounds that count for the restart budget. */
  readonly deaths: readonly number[];
  readonly restartsTotal: number;
  /** No start before this monotonic time. */
  readonly notBefore: number;
  /** Why it failed or is not whole. */
  readonly reason: Reason | undefined;
  /** Why the declaration as it is now cannot be applied to what runs. */
  readonly refused: Reason | undefined;
  /** Whether all of the pool was ready once since the anchor's start. */
  readonly wasReady: boolean;
  /** What the anchor was told last, so that it is told only news. */
  readonly toldStatus: string;
  readonly toldReady: boolean;
}

export interface SandboxEntry {
  readonly unit: string;
  readonly slot: SlotName;
  readonly generation: number;
  readonly digest: string;
  /** Digest of the limits that were set on it last, and of those that are being set. */
  readonly limits: string;
  readonly limiting: string | undefined;
  /** systemd refused to change its limits: only another sandbox can have the declared ones. */
  readonly unlimitable: boolean;
  /** What was counted against its limits; undefined for one of an earlier supervisor that was not looked at yet. */
  readonly counters: LimitCounters | undefined;
  readonly reached: Reaches;
  /** When memory ran out last, with or without a kill yet; and when a process was killed for that. */
  readonly ranOut: OutOfMemory | undefined;
  readonly outOfMemory: OutOfMemory | undefined;
  readonly life: SandboxLife;
  /** Monotonic ms; when it became ready. */
  readonly readyAt: number | undefined;
  /** What init said about the payload's end. */
  readonly exit: Exit | undefined;
  /** It runs to learn what its payload calls, beside the pool: nothing of the pool counts it, and its end is no death. */
  readonly learning: boolean;
  /** It is a spare that gets no traffic yet. */
  readonly standby: boolean;
  /** Place in the pool, from 0 on; -1 for one that has none. */
  readonly seat: number;
  /** What its gate is to be, and what init said last that it is; undefined for one that has none, or that said nothing. */
  readonly gate: Gate | undefined;
  readonly gateSeen: Gate | undefined;
  /** Whether its end counts as a death: nobody had asked for it. */
  readonly asked: boolean;
}

/** What is known of a sandbox of which nothing was seen yet. */
export const NEW_SANDBOX = {
  limiting: undefined,
  unlimitable: false,
  counters: NOTHING_COUNTED,
  reached: new Map(),
  ranOut: undefined,
  outOfMemory: undefined,
  exit: undefined,
  standby: false,
  seat: -1,
  gate: undefined,
  gateSeen: undefined,
  asked: false,
} as const satisfies Partial<SandboxEntry>;

export function initialState(plugin: string): PluginState {
  return {
    plugin,
    phase: 'off',
    invocation: undefined,
    plan: undefined,
    sandboxes: new Map(),
    nextGeneration: 1,
    slot: 'a',
    deathsInRow: 0,
    roundBegan: 0,
    deaths: [],
    restartsTotal: 0,
    notBefore: 0,
    reason: undefined,
    refused: undefined,
    wasReady: false,
    toldStatus: '',
    toldReady: false,
  };
}

/** Sandboxes that run or will, whatever for. */
export function living(state: PluginState): SandboxEntry[] {
  return [...state.sandboxes.values()].filter(({ life }) => life === 'starting' || life === 'ready');
}

/** Those of the pool among them. */
export function serving(state: PluginState): SandboxEntry[] {
  return living(state).filter(({ learning }) => !learning);
}

export function readyOnes(state: PluginState): SandboxEntry[] {
  return serving(state).filter(({ life }) => life === 'ready');
}

/** The one that learns, while it lives. */
export function learningOne(state: PluginState): SandboxEntry | undefined {
  return living(state).find(({ learning }) => learning);
}
