import { inFlight } from '../diagnose/activity-page.ts';
import { growthPerMinute } from '../diagnose/growth.ts';
import type { SandboxLook } from '../diagnose/look.ts';
import { NO_TREND, type Trend, withValue } from '../diagnose/trend.ts';
import { type Answers, NO_ANSWERS } from '../diagnose/trial.ts';

/** Nobody answers more in a second, or has more in hand; whoever says so is believed this much. */
const MOST_PER_SECOND = 1_000_000;
const MOST_IN_HAND = 1_000_000;
/** Durations that are kept until somebody takes them. */
const MOST_DURATIONS = 512;
/** What a program says of its whole life counts like so many requests: it is long ago. */
const LIFE_COUNTS = 200;

/** Requests that ended, ever. */
export interface Counters {
  readonly requests: number;
  readonly errors: number;
}

export interface TallySettings {
  /** It began just now: all that it ever answered counts, and its first times do not. */
  readonly fresh: boolean;
  /** For so long (ms) after its first answer it may be slow, and after its start it may grow. */
  readonly graceMs: number;
  readonly heartbeatMs: number;
}

/** What one sandbox answers and how it grows, from look to look. Everything that it says of itself is bounded. */
export class SandboxTally {
  readonly #settings: TallySettings;
  #before: { readonly at: number; readonly counters: Counters | undefined } | undefined;
  #answers: Answers = NO_ANSWERS;
  #earlier: Answers = NO_ANSWERS;
  #firstAnswerAt: number | undefined;
  #growsSince: number | undefined;
  #trend: Trend = NO_TREND;
  #look: SandboxLook | undefined;

  constructor(settings: TallySettings) {
    this.#settings = settings;
  }

  /** @param ready whether it serves: what it grows by at its start is no leak */
  look(look: SandboxLook, durations: readonly number[], ready: boolean): void {
    this.#look = look;
    this.#count(look.at, countersOf(look), durations);
    if (ready) this.#measure(look);
  }

  /** What it answered since it was last asked, and before it was followed. Each is told once. */
  take(): { readonly answers: Answers; readonly earlier: Answers } {
    const taken = { answers: this.#answers, earlier: this.#earlier };
    [this.#answers, this.#earlier] = [NO_ANSWERS, NO_ANSWERS];
    return taken;
  }

  get tells(): boolean {
    return this.#before?.counters !== undefined;
  }

  get inHand(): number | undefined {
    const { page } = this.#look ?? {};
    if (page === undefined) return undefined;
    return Math.min(
      MOST_IN_HAND,
      page.slots.reduce((sum, slot) => sum + slot.inFlight, 0),
    );
  }

  /** Age (ms) of the oldest request in hand. */
  get oldestMs(): number | undefined {
    const [oldest] = inFlight(this.#look?.page);
    if (this.#look === undefined || oldest?.startedAt === undefined) return undefined;
    return Math.max(0, this.#look.at - oldest.startedAt);
  }

  get memoryBytes(): number | undefined {
    return this.#look === undefined ? undefined : ownMemory(this.#look);
  }

  get memoryPerMinute(): number | undefined {
    return growthPerMinute(this.#trend);
  }

  #count(at: number, counters: Counters | undefined, durations: readonly number[]): void {
    const before = this.#before;
    this.#before = { at, counters: counters ?? before?.counters };
    if (counters === undefined) return;
    if (before === undefined && !this.#settings.fresh) {
      this.#earlier = lifeOf(counters, durations);
      return;
    }
    const since = before?.counters ?? { requests: 0, errors: 0 };
    const most = MOST_PER_SECOND * Math.max(1, (at - (before?.at ?? at)) / 1000);
    // What goes back was begun anew, and is counted from there.
    const requests = bounded(counters.requests - since.requests, most);
    const errors = Math.min(requests, bounded(counters.errors - since.errors, most));
    if (requests > 0) this.#firstAnswerAt ??= at;
    const { fresh, graceMs } = this.#settings;
    const isCold = fresh && at - (this.#firstAnswerAt ?? at) < graceMs;
    this.#answers = {
      requests: this.#answers.requests + requests,
      errors: this.#answers.errors + errors,
      durations: isCold ? this.#answers.durations : [...this.#answers.durations, ...durations].slice(-MOST_DURATIONS),
    };
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

function lifeOf({ requests, errors }: Counters, durations: readonly number[]): Answers {
  const counts = Math.min(LIFE_COUNTS, requests);
  return { requests: counts, errors: requests === 0 ? 0 : Math.round((errors / requests) * counts), durations };
}

/** What only its own processes have, as the search for leaks counts it. */
function ownMemory({ ownBytes, memoryBytes }: SandboxLook): number {
  return Math.min(ownBytes, memoryBytes ?? ownBytes);
}

function bounded(count: number, most: number): number {
  return Math.min(most, Math.max(0, count));
}
