import { Failure } from '../base/failure.ts';
import { UID_RANGE_COUNT, uidBaseOf, uidRangeIndex } from '../plan/identity.ts';

/**
 * Gives each sandbox a range of user ids of its own. Ranges are given in turn, so that one is not used again soon
 * after its last owner went: a file or process that was left behind meets no new owner.
 */
export class UidRanges {
  readonly #taken = new Set<number>();
  #next = 0;

  /** The first id of a free range. Throws BH306 when none is left. */
  take(): number {
    for (let tries = 0; tries < UID_RANGE_COUNT; tries++) {
      const base = uidBaseOf(this.#next);
      this.#next = (this.#next + 1) % UID_RANGE_COUNT;
      if (!this.#taken.has(base)) {
        this.#taken.add(base);
        return base;
      }
    }
    throw new Failure('BH306', `all ${UID_RANGE_COUNT} ranges are in use`);
  }

  /** Marks the range of a sandbox that runs already. */
  occupy(base: number): void {
    this.#taken.add(base);
    const index = uidRangeIndex(base);
    if (index !== undefined) this.#next = (index + 1) % UID_RANGE_COUNT;
  }

  giveBack(base: number): void {
    this.#taken.delete(base);
  }
}
