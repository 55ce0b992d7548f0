import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import type { SandboxStatus } from '../../../src/control/api.ts';
import { CGROUP_ROOT, processesIn } from '../../../src/kernel/cgroup.ts';
import { procStatus } from '../../support/system.ts';

/** The kinds of namespaces that a sandbox has of its own. */
export const NAMESPACES = ['pid', 'mnt', 'net', 'ipc', 'uts', 'user', 'cgroup'] as const;

/** All that /proc says from outside about one process, as far as isolation goes. */
export interface ProcessFacts {
  readonly pid: number;
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  readonly groups: readonly string[];
  /** Inheritable, permitted, effective, bounding, ambient; of each thread. */
  readonly capabilities: readonly string[];
  readonly noNewPrivs: readonly string[];
  readonly seccomp: readonly string[];
  readonly seccompFilters: readonly string[];
  readonly namespaces: Readonly<Record<string, string>>;
  readonly uidMap: string;
  readonly gidMap: string;
  readonly environment: readonly string[];
  readonly descriptors: ReadonlyMap<number, string>;
  readonly oomScoreAdj: number;
  readonly openFiles: readonly number[];
  readonly cgroup: string;
  readonly innerPid: number;
}

export interface MountFacts {
  readonly target: string;
  readonly options: readonly string[];
  readonly type: string;
}

const PROC = '/proc';

export function factsOf(pid: number): ProcessFacts {
  const tasks = readdirSync(`${PROC}/${pid}/task`).map((task) => `${pid}/task/${task}`);
  const ofAll = (...fields: readonly string[]) => [
    ...new Set(tasks.flatMap((task) => fields.map((field) => taskStatus(task, field)))),
  ];
  const numbers = (field: string) => ofAll(field).flatMap((text) => text.split(/\s+/).map(Number));
  return {
    pid,
    uids: numbers('Uid'),
    gids: numbers('Gid'),
    groups: ofAll('Groups').filter((text) => text !== ''),
    capabilities: ofAll('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'),
    noNewPrivs: ofAll('NoNewPrivs'),
    seccomp: ofAll('Seccomp'),
    seccompFilters: ofAll('Seccomp_filters'),
    namespaces: namespacesOf(pid),
    uidMap: table(pid, 'uid_map'),
    gidMap: table(pid, 'gid_map'),
    environment: readFileSync(`${PROC}/${pid}/environ`, 'utf8').split('\0').filter(Boolean),
    descriptors: descriptorsOf(pid),
    oomScoreAdj: Number(readFileSync(`${PROC}/${pid}/oom_score_adj`, 'utf8')),
    openFiles: limitOf(pid, 'Max open files'),
    cgroup: /^0::(.*)$/m.exec(readFileSync(`${PROC}/${pid}/cgroup`, 'utf8'))?.[1] ?? '',
    innerPid: Number(procStatus(pid, 'NSpid').split(/\s+/).at(-1)),
  };
}

function taskStatus(task: string, field: string): string {
  const line = new RegExp(`^${field}:(.*)$`, 'm').exec(readFileSync(`${PROC}/${task}/status`, 'utf8'))?.[1];
  if (line === undefined) throw new Error(`no ${field} in ${PROC}/${task}/status`);
  return line.trim();
}

export function namespacesOf(pid: number | 'self'): Record<string, string> {
  return Object.fromEntries(NAMESPACES.map((kind) => [kind, readlinkSync(`${PROC}/${pid}/ns/${kind}`)]));
}

function table(pid: number, name: string): string {
  return readFileSync(`${PROC}/${pid}/${name}`, 'utf8').trim().replaceAll(/\s+/g, ' ');
}

export function descriptorsOf(pid: number): Map<number, string> {
  const names = readdirSync(`${PROC}/${pid}/fd`).map(Number);
  return new Map(names.sort((one, other) => one - other).map((fd) => [fd, readlinkSync(`${PROC}/${pid}/fd/${fd}`)]));
}

/** Soft and hard limit. */
function limitOf(pid: number, name: string): number[] {
  const line = readFileSync(`${PROC}/${pid}/limits`, 'utf8')
    .split('\n')
    .find((candidate) => candidate.startsWith(name));
  return (line ?? '').slice(name.length).trim().split(/\s+/).slice(0, 2).map(Number);
}

/** See proc_pid_mountinfo(5): the options of the mount, not of the file system. */
export function mountsOf(pid: number): MountFacts[] {
  const lines = readFileSync(`${PROC}/${pid}/mountinfo`, 'utf8').trim().split('\n');
  return lines.map((line) => {
    const [own = '', fileSystem = ''] = line.split(' - ');
    const [, , , , target = '', options = ''] = own.split(' ');
    return { target, options: options.split(','), type: fileSystem.split(' ')[0] ?? '' };
  });
}

/** Whether both paths are the same file or directory, however they are mounted. */
export function isSameFile(one: string, other: string): boolean {
  const [first, second] = [statSync(one), statSync(other)];
  return first.dev === second.dev && first.ino === second.ino;
}

/** Cgroup of init and the payload: nspawn keeps itself apart. */
export function payloadGroup({ cgroup, isolation }: SandboxStatus): string {
  return isolation === 'nspawn' ? `${cgroup}/payload` : (cgroup ?? '');
}

/** All processes in the sandbox but init; the payload's main process first. */
export function payloadPids(sandbox: SandboxStatus): number[] {
  const group = payloadGroup(sandbox);
  const below = readdirSync(`${CGROUP_ROOT}${group}`, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  if (below.length > 0) throw new Error(`'${group}' has groups below it`);
  return processesIn(group)
    .filter((pid) => pid !== sandbox.initPid)
    .sort((one, other) => one - other);
}
