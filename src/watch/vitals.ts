import type { SandboxLook } from '../diagnose/look.ts';
import type { Gauged } from '../kernel/sandbox-gauge.ts';

/** What a sandbox is at, as of its last heartbeat. What the host, or the payload, does not tell is null. */
export interface Vitals {
  /** Monotonic ms. */
  readonly at: number;
  /** Percent of one CPU since the heartbeat before. */
  readonly cpuPercent: number | null;
  readonly cpuMs: number | null;
  /** As the unit is charged with it, page cache included; and what its processes have in memory. */
  readonly memoryBytes: number | null;
  readonly residentBytes: number;
  readonly processes: number;
  readonly threads: number;
  /** Of the process that has the most. */
  readonly descriptors: number;
  readonly frozen: boolean;
  /** From the activity page, over all its slots. */
  readonly requests: Requests | null;
}

export interface Requests {
  readonly done: number;
  readonly failed: number;
  readonly inFlight: number;
  /** Age of the oldest in hand, in milliseconds. */
  readonly oldestMs: number | null;
}

export function vitalsOf(before: Vitals | undefined, { look, residentBytes }: Gauged): Vitals {
  const cpuMs = look.cpuMs ?? null;
  const spentMs = cpuMs === null || before?.cpuMs === undefined || before.cpuMs === null ? null : cpuMs - before.cpuMs;
  const ms = look.at - (before?.at ?? look.at);
  return {
    at: look.at,
    cpuPercent: spentMs === null || ms <= 0 ? null : Math.max(0, (100 * spentMs) / ms),
    cpuMs,
    memoryBytes: look.memoryBytes ?? null,
    residentBytes,
    processes: look.processes,
    threads: look.threads,
    descriptors: look.descriptors,
    frozen: look.frozen,
    requests: requestsOf(look),
  };
}

function requestsOf({ page, at }: SandboxLook): Requests | null {
  if (page === undefined) return null;
  const sum = (field: 'done' | 'failed' | 'inFlight') => page.slots.reduce((total, slot) => total + slot[field], 0);
  const starts = page.slots.filter(({ inFlight }) => inFlight > 0).flatMap(({ startedAt }) => startedAt ?? []);
  const oldestMs = starts.length === 0 ? null : at - Math.min(...starts);
  return { done: sum('done'), failed: sum('failed'), inFlight: sum('inFlight'), oldestMs };
}
