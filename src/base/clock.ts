/** Something that can be given up exactly once; giving it up again does nothing. */
export interface Owned {
  release(): void;
}

/** The only source of time: monotonic milliseconds, and timers that have an owner. */
export interface Clock {
  /** Milliseconds of CLOCK_MONOTONIC, with fractions. */
  now(): number;
  /** Calls once, `delayMs` from now, unless released before. */
  after(delayMs: number, run: () => void): Owned;
}
