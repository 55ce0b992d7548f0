/** Deadlines are looked at in steps of so many milliseconds: an exact timer for each call would cost more than many calls. */
const STEP_MS = 10;

export interface HasDeadline {
  /** Called once, when its time is over and it has not been removed. */
  expire(): void;
}

/** Many deadlines with one timer, which runs only while there are any. */
export class Deadlines {
  readonly #steps = new Map<number, Set<HasDeadline>>();
  #last = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param at milliseconds of performance.now(). @returns what `remove` wants. */
  add(entry: HasDeadline, at: number): number {
    const step = Math.ceil(at / STEP_MS);
    const entries = this.#steps.get(step);
    if (entries === undefined) this.#steps.set(step, new Set([entry]));
    else entries.add(entry);
    if (this.#timer === undefined) {
      this.#last = Math.floor(performance.now() / STEP_MS);
      this.#timer = setInterval(() => this.#look(), STEP_MS);
    }
    return step;
  }

  remove(entry: HasDeadline, step: number): void {
    const entries = this.#steps.get(step);
    if (entries === undefined || !entries.delete(entry) || entries.size > 0) return;
    this.#steps.delete(step);
  }

  #look(): void {
    const now = Math.floor(performance.now() / STEP_MS);
    // After a long pause there are fewer steps with deadlines than steps.
    if (now - this.#last > this.#steps.size) {
      for (const step of [...this.#steps.keys()].sort((one, other) => one - other)) if (step <= now) this.#expire(step);
    } else for (let step = this.#last + 1; step <= now; step++) this.#expire(step);
    this.#last = now;
    // Only here, so that calls one after the other do not start and stop it.
    if (this.#steps.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #expire(step: number): void {
    const entries = this.#steps.get(step);
    if (entries === undefined) return;
    this.#steps.delete(step);
    for (const entry of entries) entry.expire();
  }
}
