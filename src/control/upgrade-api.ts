import type { FailureCode } from '../base/failure.ts';
import type { UpgradeKind, UpgradeStep } from '../decide/upgrade.ts';

export type { UpgradeKind, UpgradeStep };

/** What is asked for with an upgrade, beside the version; what is not given is as declared. */
export interface UpgradeOptions {
  /** Percents of new connections, ascending, 1 to 100; 100 always comes last, named or not. Empty: all at once. */
  readonly canary?: readonly number[];
  /** Ms that each step is watched for. */
  readonly bakeMs?: number;
  /** Try a version again that failed before. */
  readonly force?: boolean;
  /** For the audit trail. */
  readonly why?: string;
}

export interface Because {
  readonly code: FailureCode;
  readonly text: string;
}

/** A change of version that is under way. */
export interface UpgradeStatus {
  readonly id: string;
  readonly kind: UpgradeKind;
  /** `in-place`: what runs sees another version, and there is one side only, whose versions these are. */
  readonly way: 'beside' | 'in-place';
  readonly from: string | null;
  readonly to: string | null;
  /** Who asked for it, as `uid 0`, and what for. */
  readonly by: string;
  readonly why: string | null;
  readonly step: UpgradeStep;
  /** Percents of new connections that it goes through, and the place in them. */
  readonly stages: readonly number[];
  readonly stage: number;
  /** Percent of new connections that the new side gets; `weighed`: that is in force. */
  readonly weight: number;
  readonly weighed: boolean;
  readonly sinceMs: number;
  /** Since the step, or the stage of a canary, began; and how long a stage is watched. */
  readonly stepSinceMs: number;
  readonly bakeMs: number;
  readonly old: SideStatus;
  readonly new: SideStatus;
  /** What was made of the signals last; null before the first judgement. */
  readonly judgement: JudgementStatus | null;
  /** Why it is undone; null while it goes on. */
  readonly undo: Because | null;
  /** One line: `v1 -> v2: canary 25 %, 4 s of 10 s`. */
  readonly line: string;
}

/** One side of a change of version. */
export interface SideStatus {
  readonly slot: string;
  readonly version: string | null;
  readonly weight: number;
  readonly ready: number;
  /** Sandboxes that it is to have now. */
  readonly wanted: number;
  /** Null before the first look. */
  readonly signals: SideSignalsStatus | null;
}

/** Since the step began; null for what nobody says. */
export interface SideSignalsStatus {
  readonly requests: number | null;
  readonly errors: number | null;
  readonly medianMs: number | null;
  readonly p99Ms: number | null;
  readonly deaths: number;
  /** Sandboxes that were found ill, and those that were started instead of such or of dead ones. */
  readonly ill: number;
  readonly restarts: number;
  /** Sandboxes that do not pass their readiness probe now. */
  readonly unready: number;
  readonly memoryBytes: number | null;
  readonly memoryPerMinute: number | null;
  /** Connections that nobody has taken yet, and requests in hand, now. */
  readonly queued: number | null;
  readonly inHand: number | null;
  /** Who says how many requests there were. */
  readonly source: 'activity' | 'metrics' | null;
}

export interface JudgementStatus {
  /** `few`: not enough traffic to judge. */
  readonly verdict: 'good' | 'bad' | 'few';
  readonly reason: { readonly signal: string; readonly text: string } | null;
  readonly rows: readonly JudgementRow[];
}

/** One signal of both sides, in words with units, and what the new one may be. */
export interface JudgementRow {
  readonly signal: string;
  readonly old: string;
  readonly new: string;
  readonly bound: string;
  /** Whether there was enough to judge by. */
  readonly enough: boolean;
  readonly bad: boolean;
}

/** What became of a change of version. */
export interface UpgradeOutcomeStatus {
  readonly id: string;
  readonly kind: UpgradeKind;
  readonly from: string | null;
  readonly to: string | null;
  readonly by: string;
  readonly why: string | null;
  /** `refused`: nothing was started; `aborted`: the plugin was stopped or failed meanwhile. */
  readonly outcome: 'promoted' | 'rolled-back' | 'refused' | 'aborted';
  readonly reason: Because | null;
  /** What was seen of both sides, when the new one was judged bad. */
  readonly rows: readonly JudgementRow[];
  /** Of the first failure of the new side. */
  readonly incident: string | null;
  /** Wall clock, milliseconds since 1970. */
  readonly at: number;
}

/** A version that did not prove itself: it is not tried again by itself. */
export interface FailedVersion {
  readonly version: string | null;
  /** Digest of its plan. */
  readonly digest: string;
  readonly at: number;
  readonly reason: Because;
  readonly incident: string | null;
}

/** All about the versions of a plugin that it runs, ran, or is to run; answered from memory. */
export interface UpgradeReport {
  readonly upgrade: UpgradeStatus | null;
  readonly lastUpgrade: UpgradeOutcomeStatus | null;
  /** What a rollback goes back to; null when there is nothing. */
  readonly previousVersion: string | null;
  readonly failedVersions: readonly FailedVersion[];
}
