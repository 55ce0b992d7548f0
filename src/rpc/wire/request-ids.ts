import { MOST_ID } from './limits.ts';

/** Ids of requests: they count up, begin again at 0, and pass over those that still wait for a response. */
export class RequestIds {
  #last = -1;

  /** @param taken fewer than there are ids. */
  next(taken: { has(id: number): boolean }): number {
    do this.#last = this.#last === MOST_ID ? 0 : this.#last + 1;
    while (taken.has(this.#last));
    return this.#last;
  }
}
