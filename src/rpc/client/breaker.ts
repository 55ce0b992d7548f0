/** When calls are kept away from whom does not answer, and when they are let back. Pure; times are monotonic ms. */
export interface BreakerSettings {
  /** So many in a row open it. */
  readonly strikes: number;
  /** For so long it is open at first; twice as long after each trial that failed, ms. */
  readonly openMs: number;
  readonly longestOpenMs: number;
}

export type BreakerState = 'closed' | 'open' | 'half-open';

/**
 * Two things count, each in a row. *Slow*: no answer within the time that is long for a call. *Silent*: no answer within
 * that time and the call's own either, or none but that time is over. Whoever is slow may do rightly what takes long, and
 * all may be slow alike: that opens a breaker only while somebody else is left to ask. Whoever is silent is not asked,
 * whether or not anybody is left: callers then fail at once instead of waiting.
 */
export class Breaker {
  readonly #settings: BreakerSettings;
  #state: BreakerState = 'closed';
  #slow = 0;
  #silent = 0;
  #openedAt = -Infinity;
  #openUntil = 0;
  #openMs: number;
  /** It is open for being slow, no more. */
  #onlySlow = false;

  constructor(settings: BreakerSettings) {
    this.#settings = settings;
    this.#openMs = settings.openMs;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Nothing speaks against it: no call needs to ask further. */
  get spotless(): boolean {
    return this.#state === 'closed' && this.#slow === 0 && this.#silent === 0;
  }

  /** When it opened the last time, for more than slowness; -Infinity when it is not open for that. */
  get mutedAt(): number {
    return this.#state === 'closed' || this.#onlySlow ? -Infinity : this.#openedAt;
  }

  /** Whether a call may go there now, and if so, whether everything hangs on it. */
  admits(now: number): 'call' | 'trial' | 'none' {
    if (this.#state === 'closed') return 'call';
    return this.#state === 'open' && now >= this.#openUntil ? 'trial' : 'none';
  }

  /** Whether a call may go there when nobody is better: to who is slow, but answers. */
  get bearable(): boolean {
    return this.#state === 'closed' || this.#onlySlow;
  }

  /** The call that `admits` called a trial goes out. */
  tries(): void {
    this.#state = 'half-open';
  }

  /** An answer in time. @returns whether the state changed. */
  answered(trial: boolean): boolean {
    if (this.#state !== 'closed' && !trial) return false;
    this.#slow = 0;
    this.#silent = 0;
    this.#openMs = this.#settings.openMs;
    return this.#become('closed');
  }

  /** An answer after all: whoever gave it was slow, which was counted, and is not silent. */
  answeredLate(): void {
    this.#silent = 0;
  }

  /** No answer within the time that is long. @returns whether the state changed. */
  slow(now: number, trial: boolean, othersLeft: () => boolean): boolean {
    if (trial) return this.#reopen(now, this.#onlySlow);
    if (this.#state !== 'closed') return false;
    this.#slow++;
    return this.#slow >= this.#settings.strikes && othersLeft() && this.#open(now, true);
  }

  /** No answer at all, or none but that it was too late. @returns whether the state changed. */
  silent(now: number, trial: boolean): boolean {
    if (trial) return this.#reopen(now, false);
    this.#silent++;
    if (this.#silent < this.#settings.strikes) return false;
    if (this.#state === 'closed') return this.#open(now, false);
    // It was open for being slow, and is worse than that.
    this.#onlySlow = false;
    return false;
  }

  /** What leaves no doubt, such as an answer that is none. @returns whether the state changed. */
  trip(now: number, trial: boolean): boolean {
    if (trial) return this.#reopen(now, false);
    return this.#state === 'closed' && this.#open(now, false);
  }

  /** The trial told nothing: it was given up by its caller, say. The next call may be one at once. */
  triedInVain(now: number): boolean {
    if (this.#state !== 'half-open') return false;
    this.#openUntil = now;
    return this.#become('open');
  }

  #open(now: number, onlySlow: boolean): boolean {
    this.#onlySlow = onlySlow;
    this.#openedAt = now;
    this.#openUntil = now + this.#openMs;
    return this.#become('open');
  }

  #reopen(now: number, onlySlow: boolean): boolean {
    if (this.#state !== 'half-open') return false;
    this.#openMs = Math.min(2 * this.#openMs, this.#settings.longestOpenMs);
    return this.#open(now, onlySlow);
  }

  #become(state: BreakerState): boolean {
    const changed = this.#state !== state;
    this.#state = state;
    return changed;
  }
}
