import type { Clock, Owned } from '../base/clock.ts';

/** A turn that is not given back by then (ms) holds nobody up any longer: whoever has it waits for something else. */
const LONGEST_MS = 5000;

/** Lets so many work at once, each under a name; who comes later waits in line. */
export class Turns implements Owned {
  readonly #clock: Clock;
  #free: number;
  readonly #line: (() => void)[] = [];
  readonly #held = new Map<string, Owned>();

  constructor(atOnce: number, clock: Clock) {
    this.#free = atOnce;
    this.#clock = clock;
  }

  async take(name: string): Promise<void> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#line.push(resolve));
    else this.#free -= 1;
    this.#held.set(
      name,
      this.#clock.after(LONGEST_MS, () => this.giveBack(name)),
    );
  }

  /** Hands the turn to the next in line; once, however often it is called. */
  giveBack(name: string): void {
    const limit = this.#held.get(name);
    if (limit === undefined) return;
    this.#held.delete(name);
    limit.release();
    const next = this.#line.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }

  release(): void {
    for (const limit of this.#held.values()) limit.release();
  }
}
