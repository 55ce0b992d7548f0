import { closeSync, readFileSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import { ACTIVITY_PAGE_BYTES } from '../diagnose/activity-page.ts';
import { openActivityFile, readActivityFile } from './activity-file.ts';
import { CGROUP_ROOT, processesIn, readProc } from './cgroup.ts';
import { lookAtDescriptors, lookAtTasks, type TasksSeen } from './task-evidence.ts';

/** Where to look; undefined for what the sandbox does not have. */
export interface EvidencePlace {
  readonly cgroup: string;
  readonly payloadCgroup: string;
  /** Its activity page on the host. */
  readonly activityPage: string | undefined;
}

/** A sandbox as it was at one moment, before anything was done about it. */
export interface SandboxEvidence {
  readonly tasks: TasksSeen;
  readonly descriptors: readonly string[];
  /** Contents of the cgroup's small files, by name. */
  readonly cgroup: Readonly<Record<string, string>>;
  readonly page: Uint8Array | undefined;
  readonly tookMs: number;
}

const MOST_TASKS = 64;
const LEAST_TASKS = 8;
const MOST_DESCRIPTORS = 256;
const LEAST_DESCRIPTORS = 32;
/** Recovery waits for it, so it ends, whatever there is still to see. */
const LONGEST_LOOK_MS = 10;
const LONGEST_FILE = 8192;

/** Counters and pressures; memory.stat and io.stat say what the memory and the disks were used for. */
const CGROUP_FILES = [
  'cgroup.events',
  'cgroup.freeze',
  'cpu.pressure',
  'cpu.stat',
  'io.pressure',
  'io.stat',
  'memory.current',
  'memory.events',
  'memory.events.local',
  'memory.high',
  'memory.max',
  'memory.peak',
  'memory.pressure',
  'memory.stat',
  'memory.swap.current',
  'pids.current',
  'pids.events',
  'pids.max',
  'pids.peak',
] as const;

/**
 * Looks at what lives, within a few milliseconds. Of the program's own memory nothing is read: neither its command line
 * nor its environment, in which there may be secrets.
 */
export function lookAtSandbox(place: EvidencePlace, clock: Clock): SandboxEvidence {
  const began = clock.now();
  const late = (): boolean => clock.now() - began > LONGEST_LOOK_MS;
  const page = place.activityPage === undefined ? undefined : readPage(place.activityPage);
  const pids = mainFirst(processesIn(place.payloadCgroup));
  const tasks = lookAtTasks(pids, { most: MOST_TASKS, least: LEAST_TASKS, late });
  const [main] = pids;
  const descriptors =
    main === undefined ? [] : lookAtDescriptors(main, { most: MOST_DESCRIPTORS, least: LEAST_DESCRIPTORS, late });
  const cgroup = Object.fromEntries(
    CGROUP_FILES.map((name) => [name, fileOf(place.cgroup, name)]).filter(([, text]) => text !== undefined),
  ) as Record<string, string>;
  return { tasks, descriptors, cgroup, page, tookMs: clock.now() - began };
}

/** The payload's main process is what init, process 1 inside, forked first; init itself goes last. */
function mainFirst(pids: readonly number[]): number[] {
  const [init, ...others] = [...pids].sort((one, other) => one - other);
  const main = others.slice(0, MOST_TASKS).find((pid) => innerPid(pid) === 2);
  const rest = others.filter((pid) => pid !== main);
  return [main, ...rest, init].filter((pid) => pid !== undefined);
}

function innerPid(pid: number): number {
  return Number(/^NSpid:.*?(\d+)$/m.exec(readProc(pid, 'status') ?? '')?.[1]);
}

function fileOf(cgroup: string, name: string): string | undefined {
  try {
    return readFileSync(`${CGROUP_ROOT}${cgroup}/${name}`, 'utf8').slice(0, LONGEST_FILE).trimEnd();
  } catch {
    // The group is gone, or the host does not have the controller.
    return undefined;
  }
}

function readPage(path: string): Uint8Array | undefined {
  const fd = openActivityFile(path);
  if (fd === undefined) return undefined;
  try {
    return readActivityFile(fd, ACTIVITY_PAGE_BYTES);
  } finally {
    closeSync(fd);
  }
}
