/** A stretch of time, in milliseconds of CLOCK_MONOTONIC. */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** Times in which a sandbox could not be expected to get on. The newest ones; neighbours are one. */
export type LostTime = readonly Stretch[];

/** Far more than a request lives through. */
const MOST_STRETCHES = 64;

export function withLost(lost: LostTime, from: number, to: number): LostTime {
  if (to <= from) return lost;
  const last = lost.at(-1);
  if (last !== undefined && from <= last.to)
    return [...lost.slice(0, -1), { from: Math.min(from, last.from), to: Math.max(to, last.to) }];
  return [...lost, { from, to }].slice(-MOST_STRETCHES);
}

/** How much was lost between two times. */
export function lostBetween(lost: LostTime, from: number, to: number): number {
  let sum = 0;
  for (const stretch of lost) sum += Math.max(0, Math.min(to, stretch.to) - Math.max(from, stretch.from));
  return sum;
}
