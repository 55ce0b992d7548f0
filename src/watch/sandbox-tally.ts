import { inFlight } from '../diagnose/activity-page.ts';
import { growthPerMinute } from '../diagnose/growth.ts';
import type { SandboxLook } from '../diagnose/look.ts';
import { durationsBetween, type Histogram, type ToldMetrics } from '../diagnose/metrics.ts';
import { NO_TREND, type Trend, withValue } from '../diagnose/trend.ts';
import { type Answers, joinAnswers, NO_ANSWERS } from '../diagnose/trial.ts';

/** Nobody answers more in a second, or has more in hand; whoever says so is believed this much. */
const MOST_PER_SECOND = 1_000_000;
const MOST_IN_HAND = 1_000_000;
/** What a program says of its whole life counts like so many requests: it is long ago. */
const LIFE_COUNTS = 200;

/** Requests that ended, ever. */
export interface Counters {
  readonly requests: number;
  readonly errors: number | undefined;
}

/** Who says something: its activity page, or its metrics where they are declared. */
type Source = 'activity' | 'metrics';

export interface TallySettings {
  /** What it tells by metrics: how many requests there were, and how long they took. */
  readonly metrics: { readonly counts: boolean; readonly times: boolean };
  /** It began within the upgrade: all that it ever answered counts, and its first times do not. */
  readonly fresh: boolean;
  /** For so long (ms) after its first answer it may be slow, and after its start it may grow. */
  readonly graceMs: number;
  readonly heartbeatMs: number;
}

/** What one sandbox answers and how it grows, from look to look. Everything that it says of itself is bounded. */
export class SandboxTally {
  readonly #settings: TallySettings;
  #before: { readonly at: number; readonly counters: Counters; readonly source: Source } | undefined;
  #timed = false;
  #times: Histogram | undefined;
  #answers: Answers = NO_ANSWERS;
  #earlier: Answers = NO_ANSWERS;
  #firstAnswerAt: number | undefined;
  #growsSince: number | undefined;
  #trend: Trend = NO_TREND;
  #look: SandboxLook | undefined;
  #cpuMs = 0;

  constructor(settings: TallySettings) {
    this.#settings = settings;
  }

  /** @param ready whether it serves: what it grows by at its start is no leak */
  look(look: SandboxLook, durations: readonly number[], ready: boolean): void {
    if (this.#look !== undefined) this.#cpuMs += Math.max(0, (look.cpuMs ?? 0) - (this.#look.cpuMs ?? 0));
    this.#look = look;
    const { counts, times } = this.#settings.metrics;
    const counters = countersOf(look);
    // The first counts say whether it has answered yet.
    if (!counts && counters !== undefined) this.#count(look.at, counters, 'activity');
    if (!times) this.#time(look.at, durations, this.#timed);
    this.#timed = true;
    if (ready) this.#measure(look);
  }

  /** What it told of itself just now. */
  told(at: number, { requests, errors, times }: ToldMetrics): void {
    if (requests !== undefined && errors !== undefined) this.#count(at, { requests, errors }, 'metrics');
    if (times === undefined) return;
    // Without anybody else who says how many there were.
    if (!this.#settings.metrics.counts && this.#look?.page === undefined)
      this.#count(at, { requests: times.all, errors: undefined }, 'metrics');
    this.#time(at, durationsBetween(this.#times, times), this.#times !== undefined);
    this.#times = times;
  }

  /** What it answered since it was last asked, and before it was followed, and its processor time. Each is told once. */
  take(): { readonly answers: Answers; readonly earlier: Answers; readonly cpuMs: number } {
    const taken = { answers: this.#answers, earlier: this.#earlier, cpuMs: this.#cpuMs };
    [this.#answers, this.#earlier, this.#cpuMs] = [NO_ANSWERS, NO_ANSWERS, 0];
    return taken;
  }

  /** Who says how many requests there were; undefined while nobody does. */
  get source(): Source | undefined {
    return this.#before?.source;
  }

  get tellsErrors(): boolean {
    return this.#before?.counters.errors !== undefined;
  }

  get inHand(): number | undefined {
    const { page } = this.#look ?? {};
    if (page === undefined) return undefined;
    return Math.min(
      MOST_IN_HAND,
      page.slots.reduce((sum, slot) => sum + slot.inFlight, 0),
    );
  }

  /**
   * Ages (ms) of the oldest request in hand of each thread that has some, greatest first; no more than a page has threads.
   * @param since monotonic ms; what began before is left out
   */
  agesMs(since: number): readonly number[] {
    const { at = 0, page } = this.#look ?? {};
    return inFlight(page).flatMap(({ startedAt }) =>
      startedAt === undefined || startedAt < since ? [] : [Math.max(0, at - startedAt)],
    );
  }

  get memoryBytes(): number | undefined {
    return this.#look === undefined ? undefined : ownMemory(this.#look);
  }

  get memoryPerMinute(): number | undefined {
    return growthPerMinute(this.#trend);
  }

  #count(at: number, counters: Counters, source: Source): void {
    const before = this.#before;
    this.#before = { at, counters, source };
    if (before === undefined && !this.#settings.fresh) {
      this.#earlier = joinAnswers(this.#earlier, lifeOf(counters));
      return;
    }
    const since = before?.counters ?? { requests: 0, errors: 0 };
    const most = MOST_PER_SECOND * Math.max(1, (at - (before?.at ?? at)) / 1000);
    // What goes back was begun anew, and is counted from there.
    const requests = bounded(counters.requests - since.requests, most);
    const errors = Math.min(requests, bounded((counters.errors ?? 0) - (since.errors ?? 0), most));
    if (requests > 0) this.#firstAnswerAt ??= at;
    this.#answers = joinAnswers(this.#answers, { requests, errors, durations: [] });
  }

  /** @param followed whether they were asked for before: else they are of all its life */
  #time(at: number, durations: readonly number[], followed: boolean): void {
    const { fresh, graceMs } = this.#settings;
    const times = { ...NO_ANSWERS, durations };
    if (!followed && !fresh) this.#earlier = joinAnswers(this.#earlier, times);
    else if (!fresh || at - (this.#firstAnswerAt ?? at) >= graceMs) this.#answers = joinAnswers(this.#answers, times);
  }

  #measure(look: SandboxLook): void {
    this.#growsSince ??= look.at;
    const { fresh, graceMs, heartbeatMs } = this.#settings;
    if (fresh && look.at - this.#growsSince < graceMs) return;
    this.#trend = withValue(this.#trend, look.at, ownMemory(look), heartbeatMs);
  }
}

function countersOf({ page }: SandboxLook): Counters | undefined {
  if (page === undefined) return undefined;
  const errors = page.slots.reduce((sum, { failed }) => sum + failed, 0);
  return { requests: page.slots.reduce((sum, { done }) => sum + done, 0) + errors, errors };
}

function lifeOf({ requests, errors = 0 }: Counters): Answers {
  const counts = Math.min(LIFE_COUNTS, requests);
  return { requests: counts, errors: requests === 0 ? 0 : Math.round((errors / requests) * counts), durations: [] };
}

/** What only its own processes have, as the search for leaks counts it. */
function ownMemory({ ownBytes, memoryBytes }: SandboxLook): number {
  return Math.min(ownBytes, memoryBytes ?? ownBytes);
}

function bounded(count: number, most: number): number {
  return Math.min(most, Math.max(0, count));
}
