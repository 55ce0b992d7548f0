import { readdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseLimit } from '../audit/proc-text.ts';
import { type LimitCounters, NOTHING_COUNTED } from '../base/limit-counters.ts';
import { fieldOf } from '../diagnose/task-text.ts';
import { CGROUP_ROOT, processesIn, readProc } from './cgroup.ts';

/** What is looked at: cgroups below the root, and directories that it can fill, as the sandbox sees them. */
export interface CountedSandbox {
  readonly cgroup: string;
  readonly payloadCgroup: string;
  readonly fillable: readonly string[];
}

/** Processes whose descriptors are counted at one look, which bounds what a look costs. */
const MOST_PROCESSES = 64;

/** A process that has so much of its limit is told of: one that is at it may have closed some at that moment. */
const NEAR = 0.95;

/** Room below this share is none: the last page may never be given away. */
const ROOM = 0.01;

/** What a look at the sandbox itself has read; undefined where there is no such file. */
export interface OwnCounts {
  /** memory.events, cpu.stat and pids.events of the unit. */
  readonly memoryEvents: string | undefined;
  readonly cpu: string | undefined;
  readonly tasks: string | undefined;
  /** Open files by process, and a process whose root can be looked into. */
  readonly files: ReadonlyMap<number, number>;
  readonly first: number | undefined;
}

/**
 * Reads what was counted for a sandbox: some ten small files, about 0.2 ms. Undefined when its cgroup is gone, where
 * `lastWords` may still know something.
 */
export function readCounters(sandbox: CountedSandbox): LimitCounters | undefined {
  const { cgroup, payloadCgroup } = sandbox;
  const memoryEvents = readCgroup(cgroup, 'memory.events');
  const cpu = readCgroup(cgroup, 'cpu.stat');
  if (memoryEvents === undefined && cpu === undefined && !isThere(cgroup)) return undefined;
  const processes = processesIn(payloadCgroup).slice(0, MOST_PROCESSES);
  return countersOf(sandbox, {
    memoryEvents,
    cpu,
    tasks: readCgroup(cgroup, 'pids.events'),
    files: new Map(processes.map((pid) => [pid, filesOf(pid)])),
    first: processes[0],
  });
}

/** Reads a file of a cgroup; undefined when there is none. */
export type CgroupReader = (cgroup: string, file: string) => string | undefined;

/** The same of what was read already, with what belongs to others than the sandbox alone. */
export function countersOf(
  { cgroup, fillable }: CountedSandbox,
  own: OwnCounts,
  read: CgroupReader = readCgroup,
): LimitCounters {
  const { memoryEvents, cpu, tasks, files, first } = own;
  return {
    high: fieldOf(memoryEvents, 'high') ?? 0,
    max: fieldOf(memoryEvents, 'max') ?? 0,
    oom: fieldOf(memoryEvents, 'oom') ?? 0,
    oomKills: fieldOf(memoryEvents, 'oom_kill') ?? 0,
    ...sliceCounters(cgroup, read),
    forksRefused: fieldOf(tasks, 'max') ?? 0,
    throttled: fieldOf(cpu, 'nr_throttled') ?? 0,
    periods: fieldOf(cpu, 'nr_periods') ?? 0,
    files: mostFiles(files),
    full: fullOnes(first, fillable),
  };
}

/**
 * What is still to be known of a sandbox whose cgroup is gone: the slice has counted the kills of all that were in it.
 * Another sandbox of the plugin that lost a process at the same time cannot be told apart.
 */
export function lastWords({ cgroup }: CountedSandbox, last: LimitCounters = NOTHING_COUNTED): LimitCounters {
  const slice = sliceCounters(cgroup);
  const kills = Math.max(0, slice.sliceOomKills - last.sliceOomKills);
  if (kills === 0) return { ...last, ...slice };
  const atSlice = slice.sliceOom > last.sliceOom;
  const outside = (fieldOf(readCgroup(dirname(cgroup), 'memory.events'), 'oom') ?? 0) === slice.sliceOom;
  return { ...last, ...slice, oomKills: last.oomKills + kills, oom: last.oom + (atSlice || outside ? 0 : 1) };
}

function sliceCounters(
  cgroup: string,
  read: CgroupReader = readCgroup,
): Pick<LimitCounters, 'sliceOom' | 'pluginsOom' | 'sliceOomKills'> {
  const slice = dirname(cgroup);
  return {
    sliceOom: fieldOf(read(slice, 'memory.events.local'), 'oom') ?? 0,
    pluginsOom: fieldOf(read(dirname(slice), 'memory.events.local'), 'oom') ?? 0,
    sliceOomKills: fieldOf(read(slice, 'memory.events'), 'oom_kill') ?? 0,
  };
}

function isThere(cgroup: string): boolean {
  return statSync(`${CGROUP_ROOT}${cgroup}`, { throwIfNoEntry: false }) !== undefined;
}

/** Undefined when there is no such file. */
function readCgroup(cgroup: string, file: string): string | undefined {
  try {
    return readFileSync(`${CGROUP_ROOT}${cgroup}/${file}`, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENODEV') return undefined;
    throw error;
  }
}

/** The most descriptors that a process near its own limit has. */
function mostFiles(files: ReadonlyMap<number, number>): number {
  let most = 0;
  for (const [pid, count] of files) {
    // No declared limit is below 64.
    if (count <= most || count < 60) continue;
    const limit = parseLimit(readProc(pid, 'limits') ?? '', 'Max open files')?.[0];
    if (limit !== undefined && count >= NEAR * limit) most = count;
  }
  return most;
}

/** Open files of a process. Since Linux 6.2 the size of /proc/PID/fd is their number; before it is 0. */
export function filesOf(pid: number): number {
  try {
    const directory = `/proc/${pid}/fd`;
    return statSync(directory).size || readdirSync(directory).length;
  } catch {
    // The process ended meanwhile.
    return 0;
  }
}

function fullOnes(pid: number | undefined, paths: readonly string[]): string[] {
  if (pid === undefined) return [];
  return paths.filter((path) => {
    try {
      const { blocks, bavail, files, ffree } = statfsSync(`/proc/${pid}/root${path}`);
      return bavail < ROOM * blocks || (files > 0 && ffree === 0);
    } catch {
      // The process ended meanwhile.
      return false;
    }
  });
}
