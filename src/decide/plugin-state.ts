import type { FailureClass } from '../base/failure-class.ts';
import { type LimitCounters, NOTHING_COUNTED } from '../base/limit-counters.ts';
import type { Exit } from '../diagnose/exit.ts';
import type { Incident } from '../diagnose/incident.ts';
import type { OutOfMemory } from '../diagnose/out-of-memory.ts';
import type { Verdict } from '../diagnose/verdict.ts';
import type { Gate, PluginPlan, SlotName } from '../plan/plan.ts';
import type { Reaches } from './limit-reach.ts';
import type { Reason } from './observation.ts';
import type { RunOrder } from './order.ts';
import type { SandboxLife } from './sandbox-life.ts';
import type { FailedPlan, Upgrade, UpgradeOutcome } from './upgrade.ts';

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
  /** The version that the declaration itself named when it was read last; an upgrade stands in its place until it is edited. */
  readonly declared: string | undefined;
  readonly sandboxes: ReadonlyMap<string, SandboxEntry>;
  /** The generation of the next sandbox; grows for ever, because a unit name can stay occupied. */
  readonly nextGeneration: number;
  /** The live one; an upgrade starts its sandboxes in the other one. */
  readonly slot: SlotName;
  /** A change of version that is under way, and what became of the last one that was. */
  readonly upgrade: Upgrade | undefined;
  readonly lastUpgrade: UpgradeOutcome | undefined;
  /** Number of the next change of version. */
  readonly nextUpgrade: number;
  /** What was live before the plan in force: what a rollback goes back to. */
  readonly previous: PluginPlan | undefined;
  /** Plans that failed, oldest first; they are not tried again by themselves. */
  readonly failedPlans: readonly FailedPlan[];
  /** Rounds of deaths in a row without sustained health in between; sets the back-off. */
  readonly deathsInRow: number;
  /**
   * The first generation whose death begins a new round. Sandboxes that were started before the last round began are
   * part of it: what kills a whole pool at once is one misfortune, not as many as the pool is large.
   */
  readonly roundBegan: number;
  /** Where the chains of failure classes stand; one that is not here begins with its first step. */
  readonly chains: readonly ChainPosition[];
  /** Failures by seat within the time that the health score looks back, oldest first. */
  readonly crashes: readonly { readonly seat: number; readonly at: number }[];
  /** Seats that are to be filled by a new start, though there may be a standby. */
  readonly restarts: readonly number[];
  /** The recovery of a living sandbox that is under way, and until when it is waited for. */
  readonly healing: { readonly unit: string; readonly until: number } | undefined;
  /** Failed because the steps against a failure are used up: only somebody's word starts it again. */
  readonly quarantined: boolean;
  /** Number of the next incident. */
  readonly nextIncident: number;
  /** Incidents that are not over. */
  readonly open: readonly OpenIncident[];
  /** Commands that were ordered and did not end yet. */
  readonly running: readonly RunOrder[];
  readonly recoveries: Recoveries;
  /** Monotonic times (ms) of the rounds that count for the restart budget. */
  readonly deaths: readonly number[];
  readonly restartsTotal: number;
  /** No start before this monotonic time. */
  readonly notBefore: number;
  /** Somebody asked to apply the declaration as it is now, and it is not read yet. */
  readonly reloading: boolean;
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
  /** How often its gate was ordered again because init said otherwise. */
  readonly gateTries: number;
  /** What its readiness probe said last, and when it said no; undefined before its first word. */
  readonly readiness: boolean | undefined;
  readonly unready: readonly number[];
  /** What its startup probe said last. */
  readonly startup: string | undefined;
  /** What is wrong with it though it lives, and since when that is known. */
  readonly verdict: Verdict | undefined;
  readonly illSince: number;
  /** It was decided to end it for that: its end is no further death. */
  readonly doomed: boolean;
  /** To be replaced, the new one first. */
  readonly renewing: boolean;
  /** It cannot be killed, and there are too many such on this node: nothing is started in its place. */
  readonly unreplaced: boolean;
  /** Monotonic ms; when its stop was asked for or seen, if this supervisor knows. */
  readonly stopSince: number | undefined;
  /** The supervisor that had ordered its start died before anything came of that. */
  readonly interrupted: boolean;
  /** Whether its end counts as a death: nobody had asked for it. */
  readonly asked: boolean;
}

/** How far the chain of a failure class has been gone. */
export interface ChainPosition {
  readonly class: FailureClass;
  /** Index in the chain, and how often that step was taken. */
  readonly step: number;
  readonly count: number;
}

export interface OpenIncident {
  readonly incident: Incident;
  /** Monotonic ms. */
  readonly since: number;
}

/** What became of failures. */
export interface Recoveries {
  /** Those that are over, and those among them that took nobody's hand; ms that these took. */
  readonly over: number;
  readonly alone: number;
  readonly aloneMs: number;
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
  gateTries: 0,
  interrupted: false,
  readiness: undefined,
  unready: [],
  startup: undefined,
  verdict: undefined,
  illSince: 0,
  doomed: false,
  renewing: false,
  unreplaced: false,
  stopSince: undefined,
  asked: false,
} as const satisfies Partial<SandboxEntry>;

export function initialState(plugin: string): PluginState {
  return {
    plugin,
    phase: 'off',
    invocation: undefined,
    plan: undefined,
    declared: undefined,
    sandboxes: new Map(),
    nextGeneration: 1,
    slot: 'a',
    upgrade: undefined,
    lastUpgrade: undefined,
    nextUpgrade: 1,
    previous: undefined,
    failedPlans: [],
    deathsInRow: 0,
    roundBegan: 0,
    chains: [],
    crashes: [],
    restarts: [],
    healing: undefined,
    quarantined: false,
    nextIncident: 1,
    open: [],
    running: [],
    recoveries: { over: 0, alone: 0, aloneMs: 0 },
    deaths: [],
    restartsTotal: 0,
    notBefore: 0,
    reloading: false,
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

/** Those of the pool among them, but for the spares: of the state's slot, as all that follows. */
export function serving(state: PluginState): SandboxEntry[] {
  return living(state).filter(({ slot, learning, standby }) => slot === state.slot && !learning && !standby);
}

export function readyOnes(state: PluginState): SandboxEntry[] {
  return serving(state).filter(({ life }) => life === 'ready');
}

/** Those that get connections. */
export function inTraffic(state: PluginState): SandboxEntry[] {
  return readyOnes(state).filter(({ gate }) => gate === undefined || gate === 'open');
}

/** Those that can serve, though a seat may be kept out of traffic for its bad score. */
export function ableOnes(state: PluginState): SandboxEntry[] {
  const isAsked = state.plan?.declaration.health.readiness !== undefined;
  return readyOnes(state).filter(({ gate, readiness }) => !isAsked || readiness === true || gate === 'open');
}

/** Whether all that the plan wants can serve. */
export function isWhole(state: PluginState): boolean {
  return state.plan !== undefined && ableOnes(state).length >= state.plan.size;
}

/** Spares. */
export function standbys(state: PluginState): SandboxEntry[] {
  return living(state).filter(({ slot, standby }) => slot === state.slot && standby);
}

export function inLife(state: PluginState, wanted: SandboxLife): SandboxEntry[] {
  return [...state.sandboxes.values()].filter(({ life }) => life === wanted);
}

/** Nothing is left that is waited for: what cannot be killed goes when the kernel lets go of it. */
export function isEmpty(state: PluginState): boolean {
  return [...state.sandboxes.values()].every(({ life }) => life === 'fenced');
}

/** The one that learns, while it lives. */
export function learningOne(state: PluginState): SandboxEntry | undefined {
  return living(state).find(({ learning }) => learning);
}
