import type { JudgeSettings } from '../declare/upgrade.ts';
import { judgeAnswers } from './judge-answers.ts';
import { judgeStanding } from './judge-standing.ts';
import { quantileOf } from './statistics.ts';
import type { Answers, BothSides, SideLook, Trial } from './trial.ts';

/**
 * What one side of an upgrade did since its step began, summed over its sandboxes. Both sides are always told of the
 * same time. What nobody says is undefined.
 */
export interface SideSignals {
  /** That serve now, and how many of them do not pass their readiness probe. */
  readonly sandboxes: number;
  readonly unready: number;
  /** Since the upgrade began: ends that nobody asked for, sandboxes found ill, sandboxes that went for either. */
  readonly deaths: number;
  readonly ill: number;
  readonly restarts: number;
  /** Requests that ended, and those of them that ended badly. */
  readonly requests: number | undefined;
  readonly errors: number | undefined;
  /** How long requests took (ms) that ended well, of those of which it is known. */
  readonly latency: Latency | undefined;
  /** Connections that nobody has taken yet, and requests in hand, now. */
  readonly queued: number | undefined;
  readonly inHand: number | undefined;
  readonly memoryBytes: number | undefined;
  /** Bytes by which all of it grows in a minute; undefined until it is known well enough. */
  readonly memoryPerMinute: number | undefined;
  /** Who says how many requests there were. */
  readonly source: 'activity' | 'metrics' | undefined;
}

export interface Latency {
  readonly known: number;
  readonly medianMs: number;
  readonly p99Ms: number;
}

export type SignalName =
  | 'deaths'
  | 'ill'
  | 'unready'
  | 'stalled'
  | 'queue'
  | 'errors'
  | 'latency'
  | 'tail'
  | 'memory'
  | 'requests';

/** One line of a judgement, in words for people. */
export interface JudgedSignal {
  readonly signal: SignalName;
  readonly old: string;
  readonly new: string;
  /** What the new side may be. */
  readonly bound: string;
  /** Whether there is enough to judge by. */
  readonly enough: boolean;
  readonly bad: boolean;
}

export interface Judgement {
  /**
   * `bad`: it is to be undone, now. `few`: nothing is wrong with what was seen, which is too little. `good`: the step may
   * end when its time is over.
   */
  readonly verdict: 'good' | 'bad' | 'few';
  /** Why it is not good. */
  readonly reason: { readonly signal: SignalName; readonly text: string } | undefined;
  readonly rows: readonly JudgedSignal[];
  /** For how long (ms) both sides were watched in this step; after a restart of the supervisor it begins anew. */
  readonly watchedMs: number;
}

/** What is borne. */
export type JudgeTerms = Pick<JudgeSettings, 'samples' | 'errors' | 'latency' | 'memory' | 'deaths'>;

/** Whether the new side may have more of the traffic, by all that was seen of both since the step began. */
export function judgeTrial(trial: Trial, terms: JudgeTerms, bakeMs: number): Judgement {
  const watchedMs = trial.at - trial.since;
  const rows = [...judgeStanding(trial, terms), ...judgeAnswers(trial, terms, bakeMs), requestsOf(trial, terms)];
  const bad = rows.find((row) => row.bad);
  if (bad !== undefined) return { verdict: 'bad', reason: reasonOf(bad), rows, watchedMs };
  const requests = rows.find(({ signal, enough }) => signal === 'requests' && !enough);
  if (requests !== undefined) return { verdict: 'few', reason: reasonOf(requests), rows, watchedMs };
  return { verdict: 'good', reason: undefined, rows, watchedMs };
}

/** Both sides as they are shown. */
export function signalsOf({ looks, totals }: Trial): BothSides<SideSignals> | undefined {
  const last = looks.at(-1);
  if (last === undefined) return undefined;
  return { old: signals(last.old, totals.old), new: signals(last.new, totals.new) };
}

function signals(look: SideLook, { requests, errors, durations }: Answers): SideSignals {
  const { sandboxes, unready, deaths, ill, restarts, queued, inHand, memoryBytes, memoryPerMinute, source } = look;
  const answers = {
    requests: source === undefined ? undefined : requests,
    errors: look.errors === undefined ? undefined : errors,
  };
  const latency = {
    known: durations.length,
    medianMs: quantileOf(durations, 0.5),
    p99Ms: quantileOf(durations, 0.99),
  };
  return {
    sandboxes,
    unready,
    deaths,
    ill,
    restarts,
    ...answers,
    latency: durations.length === 0 ? undefined : latency,
    queued,
    inHand,
    memoryBytes,
    memoryPerMinute,
    source,
  };
}

function reasonOf({ signal, old, new: is, bound }: JudgedSignal): Judgement['reason'] {
  return { signal, text: `${signal}: ${is}; the old side: ${old}; borne: ${bound}` };
}

function requestsOf({ looks, totals }: Trial, { samples }: JudgeTerms): JudgedSignal {
  const last = looks.at(-1);
  return {
    signal: 'requests',
    old: last?.old.source === undefined ? 'unknown' : `${totals.old.requests}`,
    new: last?.new.source === undefined ? 'unknown' : `${totals.new.requests} of ${samples}`,
    bound: `${samples} or more`,
    enough: totals.new.requests >= samples,
    bad: false,
  };
}
