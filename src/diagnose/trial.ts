/** What one side did since the look before, and how it stands. What nobody says is undefined. */
export interface SideLook {
  /** That serve, and those of them whose readiness probe fails. */
  readonly sandboxes: number;
  readonly unready: number;
  /** Since the upgrade began: ends that nobody asked for, sandboxes found ill, sandboxes that went for either. */
  readonly deaths: number;
  readonly ill: number;
  readonly restarts: number;
  /** That ended since the look before, and badly of them; and how long those that ended well took (ms). */
  readonly requests: number | undefined;
  readonly errors: number | undefined;
  readonly durations: readonly number[];
  /** Requests in hand, and the age (ms) of the oldest of each thread that has some, greatest first. */
  readonly inHand: number | undefined;
  readonly agesMs: readonly number[];
  /** Connections that nobody has taken yet. */
  readonly queued: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly memoryPerMinute: number | undefined;
  /** What the memory's growth is measured by: the limit of all of them, or their size. */
  readonly memoryRoom: number | undefined;
  readonly source: 'activity' | 'metrics' | undefined;
}

export interface BothSides<T> {
  readonly old: T;
  readonly new: T;
}

/** Time of the host's processors (ms): what others than the plugin used, of what there was. */
export interface HostUse {
  readonly othersMs: number;
  readonly ofMs: number;
}

/** Both sides at one time, in monotonic ms. */
export interface TrialLook extends BothSides<SideLook> {
  readonly at: number;
  /** Since the look before. */
  readonly host: HostUse;
}

/** Requests of one side in one stretch of time. */
export interface Answers {
  readonly requests: number;
  readonly errors: number;
  readonly durations: readonly number[];
}

/** Requests of both sides in one stretch of time, and what else went on. */
export interface Stretch extends BothSides<Answers> {
  readonly host: HostUse;
}

/**
 * All that is remembered of a step of an upgrade. A plain value: `withLook` makes a new one, nothing else does. Time is cut
 * into stretches, so that what happened once can be told from what goes on.
 */
export interface Trial {
  /** Monotonic ms. */
  readonly since: number;
  readonly at: number;
  /** Newest last; the last one may grow. */
  readonly stretches: readonly Stretch[];
  /** The newest looks, newest last. */
  readonly looks: readonly TrialLook[];
  /** All that was answered since the step began. */
  readonly totals: BothSides<Answers>;
  /** Of the old side, from before the step: for when it gets nothing any more. */
  readonly earlier: Answers;
  /** Of the same time as that, as far as it was watched. */
  readonly earlierHost: HostUse;
  /** The most connections that ever waited at the old side. */
  readonly mostQueued: number;
}

export const NO_ANSWERS: Answers = { requests: 0, errors: 0, durations: [] };
export const NO_USE: HostUse = { othersMs: 0, ofMs: 0 };

/** With one second each, as traffic that is not sparse has it, the last minute is what is judged. */
const MOST_STRETCHES = 60;
/** All of them together hold twice the requests that a judgement needs. */
const STRETCHES_OF_A_JUDGEMENT = MOST_STRETCHES / 2;
/** Durations that are kept of one side: of a stretch, and in all for show. */
const MOST_DURATIONS = 64;
const MOST_SHOWN = 512;
/** Looks in a row that make something last. */
export const LASTING_LOOKS = 3;
/** When others use a greater share of the processors by this much, what was before is no measure of now. */
const BUSIER = 0.1;

/**
 * A step begins.
 * @param earlier what the old side did before, as far as that is known
 */
export function beginTrial(now: number, earlier: Answers): Trial {
  const none = { old: NO_ANSWERS, new: NO_ANSWERS };
  const nothing = { stretches: [], looks: [], totals: none, earlierHost: NO_USE, mostQueued: 0 };
  return { since: now, at: now, earlier, ...nothing };
}

/** The trial with more of what the old side did before. */
export function withEarlier(trial: Trial, more: Answers): Trial {
  return { ...trial, earlier: join(trial.earlier, more, MOST_SHOWN) };
}

/** What two sandboxes answered, or one in two stretches of time. */
export function joinAnswers(one: Answers, other: Answers): Answers {
  return join(one, other, MOST_SHOWN);
}

/** The step after this one begins. */
export function nextTrial(now: number, trial: Trial): Trial {
  const earlierHost = [trial.earlierHost, ...trial.stretches.map(({ host }) => host)].reduce(joinUse);
  const earlier = join(trial.earlier, answersIn(trial, 'old'), MOST_SHOWN);
  return { ...beginTrial(now, earlier), earlierHost, mostQueued: trial.mostQueued };
}

/** @param samples requests of the new side that a judgement needs */
export function withLook(trial: Trial, look: TrialLook, samples: number): Trial {
  const more = { old: answersOf(look.old), new: answersOf(look.new) };
  const last = trial.stretches.at(-1);
  const isFull = last !== undefined && last.new.requests >= samples / STRETCHES_OF_A_JUDGEMENT;
  const stretches =
    last === undefined || isFull
      ? [...trial.stretches, { ...joinSides(undefined, more, MOST_DURATIONS), host: look.host }]
      : [
          ...trial.stretches.slice(0, -1),
          { ...joinSides(last, more, MOST_DURATIONS), host: joinUse(last.host, look.host) },
        ];
  return {
    ...trial,
    at: look.at,
    stretches: stretches.slice(-MOST_STRETCHES),
    looks: [...trial.looks, look].slice(-LASTING_LOOKS),
    totals: joinSides(trial.totals, more, MOST_SHOWN),
    mostQueued: Math.max(trial.mostQueued, look.old.queued ?? 0),
  };
}

/** What one side did in all stretches. */
export function answersIn(trial: Trial, side: keyof BothSides<Answers>): Answers {
  const parts = trial.stretches.map((stretch) => stretch[side]);
  return {
    requests: sum(parts.map(({ requests }) => requests)),
    errors: sum(parts.map(({ errors }) => errors)),
    durations: parts.flatMap(({ durations }) => durations),
  };
}

/**
 * What the new side is compared with: what the old one did meanwhile, or before when it gets next to nothing now. What
 * else goes on on the host is the same for both only in the first case.
 */
export function comparable(trial: Trial, samples: number): { readonly answers: Answers; readonly meanwhile: boolean } {
  const answers = answersIn(trial, 'old');
  const meanwhile = answers.requests >= Math.min(samples, trial.earlier.requests);
  return meanwhile ? { answers, meanwhile } : { answers: trial.earlier, meanwhile };
}

/** Whether others had more to do in this time than when the old side did what it is known for from before. */
export function isBusierThanBefore({ earlierHost }: Trial, time: readonly { readonly host: HostUse }[]): boolean {
  const host = time.map((part) => part.host).reduce(joinUse, NO_USE);
  if (earlierHost.ofMs === 0 || host.ofMs === 0) return false;
  return host.othersMs / host.ofMs > earlierHost.othersMs / earlierHost.ofMs + BUSIER;
}

function answersOf({ requests = 0, errors = 0, durations }: SideLook): Answers {
  return { requests, errors: Math.min(errors, requests), durations };
}

function joinSides(one: BothSides<Answers> | undefined, other: BothSides<Answers>, most: number): BothSides<Answers> {
  return { old: join(one?.old, other.old, most), new: join(one?.new, other.new, most) };
}

function joinUse(one: HostUse, other: HostUse): HostUse {
  return { othersMs: one.othersMs + other.othersMs, ofMs: one.ofMs + other.ofMs };
}

function join(one: Answers = NO_ANSWERS, other: Answers, most: number): Answers {
  return {
    requests: one.requests + other.requests,
    errors: one.errors + other.errors,
    durations: thinned([...one.durations, ...other.durations], most),
  };
}

/** So many at most, evenly from among them by their size, with the least and the greatest. */
function thinned(values: readonly number[], most: number): readonly number[] {
  if (values.length <= most) return values;
  const sorted = Float64Array.from(values).sort();
  const step = (sorted.length - 1) / (most - 1);
  return Array.from({ length: most }, (_, index) => sorted[Math.round(index * step)] ?? 0);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
