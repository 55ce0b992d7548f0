import { readdirSync, readFileSync } from 'node:fs';
import type { LostRequest } from '../support/load.ts';

/**
 * The ends of a process's connections come within this (ms) of each other, on a busy machine, too: it closes one after the
 * other, when it gets its turn.
 */
const TOGETHER_MS = 5000;
/** Whoever is killed is dead long before, on a busy machine, too (ms). */
const HANG_MS = 60_000;

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
    if (isBroken && ends.some((end) => request.connectedAt <= end && request.at - end <= TOGETHER_MS)) continue;
    if (isBroken && ends.length < deaths) ends.push(request.at);
    else strange.push(request);
  }
  return strange;
}

/** A process that was killed (performance.now()). */
export interface Kill {
  readonly at: number;
  /** When it was seen to be dead: until then it may take a connection, on another processor. */
  readonly dead: number;
}

/** Kills the process, and returns when it runs no more. Looks without a pause: nothing else of this process goes on meanwhile. */
export function killNow(pid: number): Kill {
  const at = performance.now();
  process.kill(pid, 'SIGKILL');
  while (performance.now() - at < HANG_MS) if (!runs(pid)) return { at, dead: performance.now() };
  throw new Error(`process ${pid} lives after SIGKILL`);
}

/** Whether any thread of it does: the first one may be over before others, which still take connections. */
function runs(pid: number): boolean {
  return threadsOf(pid).some((tid) => {
    try {
      return !/^State:\t[ZX]/m.test(readFileSync(`/proc/${pid}/task/${tid}/status`, 'latin1'));
    } catch {
      return false; // Gone.
    }
  });
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/**
 * Lost requests that were in nobody's dying hands, where it is known when each death was caused: the connection of a
 * request was there before it, and broke soon after it.
 */
export function unexcusedByKills(lost: readonly LostRequest[], kills: readonly Kill[]): LostRequest[] {
  return lost.filter(({ at, connectedAt, why }) => {
    const isBroken = why === 'reset' || why === 'closed';
    return (
      !isBroken || !kills.some((kill) => connectedAt <= kill.dead && at >= kill.at && at <= kill.dead + TOGETHER_MS)
    );
  });
}
