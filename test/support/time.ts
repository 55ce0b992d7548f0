/** Time that goes on when it is told to. */
export class Time {
  at = 0;
  readonly #timers = new Set<{ at: number; run: () => void }>();

  now(): number {
    return this.at;
  }

  after(delayMs: number, run: () => void): { release(): void } {
    const timer = { at: this.at + delayMs, run };
    this.#timers.add(timer);
    return { release: () => this.#timers.delete(timer) };
  }

  get waiting(): number {
    return this.#timers.size;
  }

  pass(ms: number): void {
    const end = this.at + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((one, other) => one.at - other.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.at = next.at;
      next.run();
    }
    this.at = end;
  }
}
