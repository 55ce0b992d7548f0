/**
 * What one side of an upgrade did since its step began, summed over its sandboxes. Both sides are always told of the
 * same time. What nobody says is undefined.
 */
export interface SideSignals {
  /** That serve now, and how many of them do not pass their readiness probe, or are not ready. */
  readonly sandboxes: number;
  readonly unready: number;
  /** Ends that nobody had asked for; sandboxes that were found ill; sandboxes that were started instead of either. */
  readonly deaths: number;
  readonly ill: number;
  readonly restarts: number;
  /** Requests that ended, and those of them that ended badly. */
  readonly requests: number | undefined;
  readonly errors: number | undefined;
  /** How long requests took (ms), of those of which it is known. */
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
export interface JudgeTerms {
  /** Requests of the new side that a judgement needs. */
  readonly samples: number;
  /** Deaths of the new side. */
  readonly deaths: number;
}

/** Whether the new side may take more of the traffic. */
export function judgeSides(before: SideSignals, after: SideSignals, terms: JudgeTerms, watchedMs: number): Judgement {
  const rows = [deathsOf(before, after, terms), illOf(before, after), requestsOf(before, after, terms)];
  const bad = rows.find((row) => row.bad);
  if (bad !== undefined) return { verdict: 'bad', reason: reasonOf(bad), rows, watchedMs };
  const few = rows.find(({ enough }) => !enough);
  if (few !== undefined) return { verdict: 'few', reason: reasonOf(few), rows, watchedMs };
  return { verdict: 'good', reason: undefined, rows, watchedMs };
}

function reasonOf({ signal, old, new: is, bound }: JudgedSignal): Judgement['reason'] {
  return { signal, text: `${signal}: ${is}, the old side has ${old}, ${bound}` };
}

function deathsOf(before: SideSignals, after: SideSignals, { deaths }: JudgeTerms): JudgedSignal {
  return {
    signal: 'deaths',
    old: `${before.deaths}`,
    new: `${after.deaths}`,
    bound: `${deaths} at most`,
    enough: true,
    bad: after.deaths > deaths,
  };
}

/** What was found ill is as good as dead. */
function illOf(before: SideSignals, after: SideSignals): JudgedSignal {
  return {
    signal: 'ill',
    old: `${before.ill}`,
    new: `${after.ill}`,
    bound: 'none',
    enough: true,
    bad: after.ill > 0,
  };
}

function requestsOf(before: SideSignals, after: SideSignals, { samples }: JudgeTerms): JudgedSignal {
  return {
    signal: 'requests',
    old: before.requests === undefined ? 'unknown' : `${before.requests}`,
    new: after.requests === undefined ? 'unknown' : `${after.requests} of ${samples}`,
    bound: `${samples} at least`,
    enough: (after.requests ?? 0) >= samples,
    bad: false,
  };
}
