/** Numbers that a seed decides, so that what was found can be found again. Not for secrets. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 to 2^32-1 (mulberry32). */
  word(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** 0 to n-1. */
  below(n: number): number {
    return Math.floor((this.word() / 2 ** 32) * n);
  }

  chance(part: number): boolean {
    return this.word() / 2 ** 32 < part;
  }

  pick<T>(from: readonly [T, ...T[]]): T {
    return from[this.below(from.length)] ?? from[0];
  }

  bytes(length: number): Buffer {
    const out = Buffer.alloc(length);
    for (let at = 0; at < length; at += 1) out[at] = this.below(256);
    return out;
  }
}

/** BULKHEAD_SEED, or another one each time; to be named in every failure. */
export function seedNow(): number {
  const given = process.env.BULKHEAD_SEED;
  return given === undefined ? Date.now() % 2 ** 32 : Number(given);
}
