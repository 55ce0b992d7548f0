import { digestText } from './digest.ts';
import type { PlannedLimits } from './plan.ts';

/**
 * Limits that the kernel lets be changed on a group of living processes; systemd sets them on the unit. The others
 * belong to each process from its start on (setrlimit(2)), or are read by journald when a unit starts.
 */
export const LIVE_LIMITS = [
  'memoryMax',
  'memoryHigh',
  'swapMax',
  'cpuQuotaPerSecUsec',
  'cpuWeight',
  'tasksMax',
  'ioWeight',
  'io',
] as const satisfies readonly (keyof PlannedLimits)[];

export type LiveLimit = (typeof LIVE_LIMITS)[number];

export function isLive(name: keyof PlannedLimits): name is LiveLimit {
  return (LIVE_LIMITS as readonly string[]).includes(name);
}

/** The limits that take a new sandbox. */
export function fixedLimits(limits: PlannedLimits): Omit<PlannedLimits, LiveLimit> {
  return Object.fromEntries(Object.entries(limits).filter(([name]) => !isLive(name as keyof PlannedLimits))) as Omit<
    PlannedLimits,
    LiveLimit
  >;
}

/** Digest of the limits that can be set on what runs; sandboxes with another one get them set. */
export function liveLimitsDigest(limits: PlannedLimits): string {
  return digestText(JSON.stringify(LIVE_LIMITS.map((name) => limits[name])));
}
