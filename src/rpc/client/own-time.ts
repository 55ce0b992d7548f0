/** A turn of the event loop that is later than this was held up by this process itself, or its machine; ms. */
const LATE_MS = 50;

/**
 * Time that this process lost. Somebody whose answer lay unread meanwhile is not slow, so it counts against nobody.
 */
export class OwnTime {
  readonly #everyMs: number;
  #lastTick: number;
  #lostMs = 0;

  /** @param everyMs between ticks, as they should be */
  constructor(everyMs: number, now: number) {
    this.#everyMs = everyMs;
    this.#lastTick = now;
  }

  /** All of it so far, ms. */
  get lostMs(): number {
    return this.#lostMs;
  }

  /** Ticks begin, after none for a while. */
  start(now: number): void {
    this.#lastTick = now;
  }

  /** @returns whether time was lost since the last one */
  tick(now: number): boolean {
    const late = now - this.#lastTick - this.#everyMs;
    this.#lastTick = now;
    if (late <= LATE_MS) return false;
    this.#lostMs += late;
    return true;
  }
}
