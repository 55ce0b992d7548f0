import type { Judgement, SideSignals } from '../diagnose/judge.ts';
import type { PluginPlan, SlotName } from '../plan/plan.ts';
import type { Reason } from './observation.ts';
import type { LiveVersion } from './order.ts';
import type { Rung } from './upgrade-ladder.ts';

/**
 * Where a change of version stands.
 *
 *   planning    the declaration is read, for the version that is asked for
 *   verifying   the version's digest, the pre-check, and the memory for a second side are looked at
 *   preparing   sockets and slice are made for both sides
 *   starting    the new side is started, out of traffic, until it is whole
 *   canary      it gets a part of the new connections, in steps, and is judged
 *   switching   in place: the directory of what runs is switched
 *   baking      in place: what runs has the new version, and is judged
 *   committing  that the new version is the live one is made durable
 *   draining    the new side is live; the old one ends what it has
 *   undoing     the old side has all of the traffic again; what was begun is ended
 */
export type UpgradeStep =
  | 'planning'
  | 'verifying'
  | 'preparing'
  | 'starting'
  | 'canary'
  | 'switching'
  | 'baking'
  | 'committing'
  | 'draining'
  | 'undoing';

export type UpgradeKind = 'upgrade' | 'rollback' | 'reload';

/** What is asked for with an upgrade; what is not given is as declared. */
export interface UpgradeOptions {
  /** Percents of new connections, ascending. */
  readonly canary?: readonly number[] | undefined;
  readonly bakeMs?: number | undefined;
  /** Try again what failed before; leave what cannot be gone back to. */
  readonly force?: boolean | undefined;
}

/** A change of version, or of declaration, that is under way. */
export interface Upgrade {
  /** `NAME-u3`. */
  readonly id: string;
  readonly kind: UpgradeKind;
  /** Who asked for it, and what for in their words. */
  readonly by: string;
  readonly why: string | undefined;
  readonly way: 'beside' | 'in-place';
  /** What it began from; undefined where the declaration names none. */
  readonly from: string | undefined;
  /** Asked for, and once it is planned what it is; undefined where the declaration names none. */
  readonly to: string | undefined;
  /** What the declaration itself says, which may be older than the version in force. */
  readonly declared: string | undefined;
  /** Of the new side, once it is planned; after the commit it is the plan in force, and undefined here. */
  readonly plan: PluginPlan | undefined;
  /** Of the new side; after the commit it is the live one. In place there is only one. */
  readonly slot: SlotName;
  readonly step: UpgradeStep;
  /** Percents that it goes through, 100 at last; empty until it is planned. */
  readonly stages: readonly number[];
  readonly stage: number;
  readonly bakeMs: number;
  /** What both sides are to be for the next weight, and since when (monotonic ms). */
  readonly rung: Rung;
  readonly rungSince: number;
  /** Percent of the new connections that the new side is to get, and whether that is in force. */
  readonly weight: number;
  readonly weighed: boolean;
  /** Monotonic ms: when it began, when the step began, and when the weight of the stage was in force. */
  readonly since: number;
  readonly stepSince: number;
  readonly stageSince: number | undefined;
  /** How often the order of this step was given, and when it was last. */
  readonly tries: number;
  readonly triedAt: number;
  /** Failures of the new side. */
  readonly deaths: number;
  /** Nothing of the new side is started before this time (monotonic ms). */
  readonly notBefore: number;
  /** Why it is undone, or will be as soon as that can be. */
  readonly undo: Reason | undefined;
  /** Of the first failure of the new side. */
  readonly incident: string | undefined;
  /** Why there is nothing to go back to once it is committed. */
  readonly noWayBack?: Reason | undefined;
  /** The side that goes has been asked to end. */
  readonly ending: boolean;
  readonly options: UpgradeOptions;
  readonly signals: UpgradeSignals | undefined;
}

/** What was seen of both sides last, in the same time. */
export interface UpgradeSignals {
  readonly old: SideSignals;
  readonly new: SideSignals;
  readonly judgement: Judgement;
  /** Monotonic ms. */
  readonly at: number;
}

/** What became of a change of version. */
export interface UpgradeOutcome {
  readonly id: string;
  readonly kind: UpgradeKind;
  readonly by: string;
  readonly why: string | undefined;
  readonly from: string | undefined;
  readonly to: string | undefined;
  /** `refused`: nothing was started; `aborted`: the plugin was stopped, or failed, before it was over. */
  readonly outcome: 'promoted' | 'rolled-back' | 'refused' | 'aborted';
  readonly reason: Reason | undefined;
  readonly incident: string | undefined;
  /** Why a judgement was bad. */
  readonly judgement: Judgement | undefined;
  /** Wall clock, ms since 1970. */
  readonly at: number;
  /** What the durable record is to say since then; undefined when it does, or nothing was begun. */
  readonly live: LiveVersion | undefined;
}

/** A plan that did not prove itself, and is not tried again by itself. */
export interface FailedPlan {
  readonly digest: string;
  readonly version: string | undefined;
  /** Wall clock, ms since 1970. */
  readonly at: number;
  readonly reason: Reason;
  readonly incident: string | undefined;
}
