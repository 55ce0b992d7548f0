import { Breaker, type BreakerSettings, type BreakerState } from './breaker.ts';

/** What a request tells about whoever had it. */
export type Outcome =
  /** An answer, of whatever kind, before it was slow. */
  | 'in-time'
  /** An answer after it was counted as slow. */
  | 'late'
  /** No answer after the time that is long. */
  | 'slow'
  /** No answer in the time that the call had, and that is long, too. */
  | 'silent'
  /** What came is no answer. */
  | 'garbage'
  /** Nothing: it was given up, or refused for want of room. */
  | 'nothing';

/** What hangs on a request: its outcome decides whether calls are let back. */
export type Trial = 'none' | 'peer' | 'method' | 'both';

/** Told of each change; `method` is undefined when it is about all of them. */
export type BreakerChange = (method: string | undefined, state: BreakerState) => void;

/** The breakers of one sandbox: one for all calls, and one for each method that had no good answer lately. Pure. */
export class Health {
  readonly #settings: BreakerSettings;
  readonly #changed: BreakerChange;
  readonly #all: Breaker;
  readonly #methods = new Map<string, Breaker>();

  constructor(settings: BreakerSettings, changed: BreakerChange) {
    this.#settings = settings;
    this.#changed = changed;
    this.#all = new Breaker(settings);
  }

  get state(): BreakerState {
    return this.#all.state;
  }

  /** Nothing speaks against it, whatever the method. */
  get spotless(): boolean {
    return this.#methods.size === 0 && this.#all.spotless;
  }

  /** Methods that are kept away while others are called. */
  openMethods(): string[] {
    return [...this.#methods].filter(([, breaker]) => breaker.state !== 'closed').map(([method]) => method);
  }

  admits(method: string, now: number): boolean {
    if (this.#all.admits(now) === 'none') return false;
    return this.#methods.get(method)?.admits(now) !== 'none';
  }

  /** Whether a call may go there when nobody is better. */
  isBearable(method: string): boolean {
    return this.#all.bearable && this.#methods.get(method)?.bearable !== false;
  }

  /** Since when it is taken for one that answers nothing; -Infinity while it is not. */
  get mutedAt(): number {
    return this.#all.mutedAt;
  }

  /** A request goes out that was admitted. */
  begin(method: string, now: number): Trial {
    const one = this.#methods.get(method);
    const all = this.#all.admits(now) === 'trial';
    const its = one?.admits(now) === 'trial';
    if (all) {
      this.#all.tries();
      this.#changed(undefined, 'half-open');
    }
    if (its && one !== undefined) {
      one.tries();
      this.#changed(method, 'half-open');
    }
    if (all) return its ? 'both' : 'peer';
    return its ? 'method' : 'none';
  }

  /** @param othersLeft asked when calls are to be kept away for being slow: whether somebody else may be called. */
  note(outcome: Outcome, method: string, trial: Trial, now: number, othersLeft: () => boolean): void {
    if (outcome === 'in-time' && this.spotless) return;
    if (apply(this.#all, outcome, trial === 'peer' || trial === 'both', now, othersLeft))
      this.#changed(undefined, this.#all.state);
    const bad = outcome === 'slow' || outcome === 'silent' || outcome === 'garbage';
    const one = this.#methods.get(method) ?? (bad ? new Breaker(this.#settings) : undefined);
    if (one === undefined) return;
    const changed = apply(one, outcome, trial === 'method' || trial === 'both', now, othersLeft);
    if (one.spotless) this.#methods.delete(method);
    else this.#methods.set(method, one);
    if (changed) this.#changed(method, one.state);
  }
}

function apply(breaker: Breaker, outcome: Outcome, trial: boolean, now: number, othersLeft: () => boolean): boolean {
  switch (outcome) {
    case 'in-time':
      return breaker.answered(trial);
    case 'late':
      breaker.answeredLate();
      return false;
    case 'slow':
      return breaker.slow(now, trial, othersLeft);
    case 'silent':
      return breaker.silent(now, trial);
    case 'garbage':
      return breaker.trip(now, trial);
    case 'nothing':
      return trial && breaker.triedInVain(now);
  }
}
