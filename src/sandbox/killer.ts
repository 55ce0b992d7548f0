import type { Clock, Owned } from '../base/clock.ts';

/** How long (ms) the kernel has to end what was killed before that is remarkable. */
const KILLED_MS = 2000;
/** How often (ms) it is looked again, and told, afterwards. */
const STILL_THERE_MS = 10_000;

/** A cgroup, as far as it is needed here. */
export interface KillableGroup {
  kill(): void;
  isPopulated(): boolean;
}

/**
 * Kills all of a payload, and tells of one that does not end: a task in an uninterruptible wait hears of its death only
 * when that is over.
 */
export class Killer implements Owned {
  readonly #clock: Clock;
  readonly #group: KillableGroup;
  readonly #unkillable: () => void;
  #look: Owned | undefined;
  #killed = false;

  /** @param unkillable told again and again until the group is empty */
  constructor(clock: Clock, group: KillableGroup, unkillable: () => void) {
    this.#clock = clock;
    this.#group = group;
    this.#unkillable = unkillable;
  }

  /** Whether it was asked to kill. */
  get killed(): boolean {
    return this.#killed;
  }

  /** It may be told so again at any time. */
  kill(): void {
    this.#killed = true;
    this.#group.kill();
    if (this.#look === undefined) this.#lookIn(KILLED_MS);
  }

  release(): void {
    this.#look?.release();
  }

  #lookIn(ms: number): void {
    this.#look = this.#clock.after(ms, () => {
      this.#look = undefined;
      if (!this.#group.isPopulated()) return;
      this.#unkillable();
      this.#lookIn(STILL_THERE_MS);
    });
  }
}
