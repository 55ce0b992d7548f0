import type { Declaration, Limit } from '../declare/declaration.ts';
import type { PlannedLimits } from './plan.ts';

/** The kernel rounds memory limits down to whole pages; we do so first, so that what is shown is what is set. */
const PAGE = 4096;

/** Turns declared limits into numbers for a node with `memoryTotal` bytes. They are what the payload of one sandbox gets. */
export function planLimits(limits: Declaration['limits'], memoryTotal: number): PlannedLimits {
  const memoryMax = bytesOf(limits.memory, memoryTotal);
  return {
    memoryMax,
    memoryHigh: bytesOf(limits.memoryHigh, memoryMax),
    swapMax: bytesOf(limits.swap, memoryTotal),
    cpuQuotaPerSecUsec: limits.cpu === 'infinity' ? 'infinity' : Math.round(limits.cpu * 10_000),
    cpuWeight: limits.cpuWeight,
    tasksMax: limits.tasks,
    ioWeight: limits.ioWeight,
    io: limits.io,
    files: limits.files,
    memoryLock: limits.memoryLock,
    core: limits.core,
    log: limits.log,
  };
}

function bytesOf(limit: Limit, whole: number | 'infinity'): number | 'infinity' {
  if (limit === 'infinity') return 'infinity';
  if ('bytes' in limit) return toPages(limit.bytes);
  return whole === 'infinity' ? 'infinity' : toPages((whole * limit.percent) / 100);
}

function toPages(bytes: number): number {
  return Math.floor(bytes / PAGE) * PAGE;
}
