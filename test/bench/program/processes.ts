import { readdirSync, readFileSync } from 'node:fs';

const CGROUPS = '/sys/fs/cgroup';

/** Memory of a process in kB, from /proc/PID/smaps_rollup (proc(5)). */
export interface Memory {
  readonly rss: number;
  /** Shared pages divided by the number of those who share them. */
  readonly pss: number;
  /** Pages that nobody shares: what would be free without the process. */
  readonly uss: number;
}

export const NO_MEMORY: Memory = { rss: 0, pss: 0, uss: 0 };

export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kb = (field: string): number => Number(new RegExp(`^${field}: +(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
  return { rss: kb('Rss'), pss: kb('Pss'), uss: kb('Private_Clean') + kb('Private_Dirty') };
}

export function sum(memories: readonly Memory[]): Memory {
  const add = (one: Memory, other: Memory): Memory => ({
    rss: one.rss + other.rss,
    pss: one.pss + other.pss,
    uss: one.uss + other.uss,
  });
  return memories.reduce(add, NO_MEMORY);
}

/** The name that the kernel has of a process, at most 15 characters; empty when it is gone. */
export function processName(pid: number): string {
  return textOf(`/proc/${pid}/comm`).trim();
}

/** Pids in the cgroup and below it, with their names (the first 15 characters of the program's). */
export function processesBelow(cgroup: string): { readonly pid: number; readonly name: string }[] {
  const found: { pid: number; name: string }[] = [];
  for (const pid of textOf(`${CGROUPS}${cgroup}/cgroup.procs`).split('\n').map(Number)) {
    const name = pid > 0 ? processName(pid) : '';
    if (name !== '') found.push({ pid, name });
  }
  for (const group of groupsIn(cgroup)) found.push(...processesBelow(`${cgroup}/${group}`));
  return found;
}

/** The names of the cgroups directly in this one; none when it is gone. */
export function groupsIn(cgroup: string): string[] {
  try {
    const entries = readdirSync(`${CGROUPS}${cgroup}`, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    return [];
  }
}

/** CPU time (ms) that a cgroup and those below it have used; needs no controller. */
export function cpuMs(cgroup: string): number {
  return Number(/^usage_usec (\d+)/m.exec(textOf(`${CGROUPS}${cgroup}/cpu.stat`))?.[1] ?? 0) / 1000;
}

/** How often the process was put on a processor after it had waited, all its threads together. */
export function wakeups(pid: number): number {
  return readdirSync(`/proc/${pid}/task`)
    .map((task) =>
      Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(textOf(`/proc/${pid}/task/${task}/status`))?.[1] ?? 0),
    )
    .reduce((all, count) => all + count, 0);
}

/** The file's text; empty when it, or its process, is gone. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
