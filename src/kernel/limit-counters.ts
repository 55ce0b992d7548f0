import { readdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseLimit } from '../audit/proc-text.ts';
import { type LimitCounters, NOTHING_COUNTED } from '../base/limit-counters.ts';
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

/**
 * Reads what was counted for a sandbox: some ten small files, about 0.2 ms. Undefined when its cgroup is gone, where
 * `lastWords` may still know something.
 */
export function readCounters(sandbox: CountedSandbox): LimitCounters | undefined {
  const { cgroup, payloadCgroup } = sandbox;
  const own = fieldsOf(cgroup, 'memory.events');
  const cpu = fieldsOf(cgroup, 'cpu.stat');
  if (own === undefined && cpu === undefined && !isThere(cgroup)) return undefined;
  const processes = processesIn(payloadCgroup);
  return {
    high: own?.get('high') ?? 0,
    max: own?.get('max') ?? 0,
    oom: own?.get('oom') ?? 0,
    oomKills: own?.get('oom_kill') ?? 0,
    ...sliceCounters(cgroup),
    forksRefused: fieldsOf(cgroup, 'pids.events')?.get('max') ?? 0,
    throttled: cpu?.get('nr_throttled') ?? 0,
    periods: cpu?.get('nr_periods') ?? 0,
    files: mostFiles(processes),
    full: fullOnes(processes[0], sandbox.fillable),
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
  const outside = (fieldsOf(dirname(cgroup), 'memory.events')?.get('oom') ?? 0) === slice.sliceOom;
  return { ...last, ...slice, oomKills: last.oomKills + kills, oom: last.oom + (atSlice || outside ? 0 : 1) };
}

function sliceCounters(cgroup: string): Pick<LimitCounters, 'sliceOom' | 'pluginsOom' | 'sliceOomKills'> {
  const slice = dirname(cgroup);
  return {
    sliceOom: fieldsOf(slice, 'memory.events.local')?.get('oom') ?? 0,
    pluginsOom: fieldsOf(dirname(slice), 'memory.events.local')?.get('oom') ?? 0,
    sliceOomKills: fieldsOf(slice, 'memory.events')?.get('oom_kill') ?? 0,
  };
}

function isThere(cgroup: string): boolean {
  return statSync(`${CGROUP_ROOT}${cgroup}`, { throwIfNoEntry: false }) !== undefined;
}

/** A file of lines `NAME NUMBER`; undefined when there is none. */
function fieldsOf(cgroup: string, file: string): Map<string, number> | undefined {
  try {
    const text = readFileSync(`${CGROUP_ROOT}${cgroup}/${file}`, 'utf8');
    return new Map(
      text.split('\n').map((line) => {
        const [name = '', value = ''] = line.split(' ');
        return [name, Number(value)];
      }),
    );
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENODEV') return undefined;
    throw error;
  }
}

/** The most descriptors that a process near its own limit has. */
function mostFiles(processes: readonly number[]): number {
  let most = 0;
  for (const pid of processes.slice(0, MOST_PROCESSES)) {
    const files = filesOf(pid);
    // No declared limit is below 64.
    if (files <= most || files < 60) continue;
    const limit = parseLimit(readProc(pid, 'limits') ?? '', 'Max open files')?.[0];
    if (limit !== undefined && files >= NEAR * limit) most = files;
  }
  return most;
}

/** Since Linux 6.2 the size of /proc/PID/fd is the number of descriptors; before it is 0. */
function filesOf(pid: number): number {
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
