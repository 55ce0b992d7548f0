import type { LostRequest } from '../support/load.ts';

/** The ends of a process's connections come within this (ms) of each other: the kernel closes one after the other. */
const TOGETHER_MS = 500;

/**
 * Lost requests that were in nobody's dying hands. A sandbox that ends breaks all of its connections at once, none of
 * which can have been opened later than that; one that answers nothing may keep them for longer than a client waits.
 * @param deaths how many sandboxes were to die
 * @param gone when the last of them was seen to be gone (performance.now())
 */
export function unexcused(lost: readonly LostRequest[], deaths: number, gone: number): LostRequest[] {
  const ends: number[] = [];
  const strange: LostRequest[] = [];
  for (const request of [...lost].sort((one, other) => one.at - other.at)) {
    if (request.why === 'timeout' && request.connectedAt <= gone) continue;
    const isBroken = request.why === 'reset' || request.why === 'closed';
    let end = ends.find((each) => request.at - each <= TOGETHER_MS);
    if (isBroken && end === undefined && ends.length < deaths) {
      end = request.at;
      ends.push(end);
    }
    if (end === undefined || !isBroken || request.connectedAt > end) strange.push(request);
  }
  return strange;
}

/** A process that is killed takes so long (ms) until it accepts nothing any more. */
const DYING_MS = 20;

/**
 * Lost requests that were in nobody's dying hands, where it is known when each death was caused: the connection of a
 * request was there before it, and broke soon after it.
 * @param kills when (performance.now())
 */
export function unexcusedByKills(lost: readonly LostRequest[], kills: readonly number[]): LostRequest[] {
  return lost.filter(({ at, connectedAt, why }) => {
    const isBroken = why === 'reset' || why === 'closed';
    return !isBroken || !kills.some((kill) => connectedAt <= kill + DYING_MS && at >= kill && at <= kill + TOGETHER_MS);
  });
}
