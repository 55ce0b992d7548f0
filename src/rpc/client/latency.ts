/** Parts of each power of two: what is told is at most an eighth more than what was. */
const PARTS = 8;
/** From 1 us to 2^27 us, which is 134 s; what takes longer counts as that. */
const POWERS = 27;

/** How long calls take, in a few hundred counters however many calls there are. */
export class Latency {
  readonly #counts = new Uint32Array(PARTS * (POWERS + 1));
  #count = 0;
  #longestMs = 0;

  add(ms: number): void {
    const us = Math.min(Math.max(1, 1000 * ms), 0x7fff_ffff);
    const power = Math.min(POWERS, 31 - Math.clz32(us));
    const part = Math.min(PARTS - 1, Math.floor((us / 2 ** power - 1) * PARTS));
    const at = power * PARTS + part;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#count++;
    if (ms > this.#longestMs) this.#longestMs = ms;
  }

  /** Milliseconds that a share of the calls did not exceed, as an upper bound; 0 without calls. @param share 0 to 1 */
  quantile(share: number): number {
    const wanted = Math.ceil(share * this.#count);
    if (wanted === 0) return 0;
    let seen = 0;
    for (const [at, count] of this.#counts.entries()) {
      seen += count;
      if (seen < wanted) continue;
      const upTo = (2 ** Math.floor(at / PARTS) * (PARTS + (at % PARTS) + 1)) / PARTS / 1000;
      return Math.min(upTo, this.#longestMs);
    }
    return this.#longestMs;
  }

  get longestMs(): number {
    return this.#longestMs;
  }
}
