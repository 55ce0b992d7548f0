import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import type { Credentials, DescriptorFacts, Namespaces, ProcessFacts } from '../audit/facts.ts';
import { NAMESPACES } from '../audit/facts.ts';
import { parseCredentials, parseLimit, parseMap, statusFields } from '../audit/proc-text.ts';
import { readProc } from './cgroup.ts';
import { deviceNumbers } from './file-facts.ts';

/** What one look may read in all; whoever has more makes the audit incomplete, not endless. */
export class Budget {
  #left: number;
  readonly #what: string;
  #exceeded = false;

  constructor(most: number, what: string) {
    this.#left = most;
    this.#what = what;
  }

  /** Whether one more may be read. */
  take(): boolean {
    if (this.#left > 0) this.#left -= 1;
    else this.#exceeded = true;
    return !this.#exceeded;
  }

  /** What was not read, if anything. */
  get complaint(): readonly string[] {
    return this.#exceeded ? [`more than ${this.#what}`] : [];
  }
}

export interface Budgets {
  readonly tasks: Budget;
  readonly descriptors: Budget;
}

/** All that /proc tells of the process; undefined when it ended before or meanwhile, zombies included. */
export function processFacts(pid: number, budgets: Budgets): ProcessFacts | undefined {
  try {
    return lookAt(pid, budgets);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A process that ends is no finding. Whatever else went wrong is a defect.
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EINVAL') return undefined;
    // What is half gone may refuse to be looked at.
    if (code === 'EACCES' && !isAlive(pid)) return undefined;
    throw error;
  }
}

function lookAt(pid: number, budgets: Budgets): ProcessFacts | undefined {
  const status = statusFields(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (isEnded(status)) return undefined;
  const credentials = credentialsOf(pid, budgets.tasks);
  const limits = readFileSync(`/proc/${pid}/limits`, 'utf8');
  const openFiles = parseLimit(limits, 'Max open files');
  const memoryLock = parseLimit(limits, 'Max locked memory');
  const coreSize = parseLimit(limits, 'Max core file size');
  if (credentials.length === 0 || openFiles === undefined || memoryLock === undefined || coreSize === undefined)
    return undefined;
  const facts = {
    pid,
    parent: Number(status.get('PPid')),
    innerPid: Number(status.get('NSpid')?.split(/\s+/).at(-1) ?? pid),
    name: status.get('Name') ?? '',
    credentials,
    namespaces: namespacesOf(pid),
    cgroup: cgroupOf(pid),
    uidMap: parseMap(readFileSync(`/proc/${pid}/uid_map`, 'utf8')),
    gidMap: parseMap(readFileSync(`/proc/${pid}/gid_map`, 'utf8')),
    oomScoreAdj: Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8')),
    openFiles,
    memoryLock,
    coreSize,
    environment: readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .filter((variable) => variable !== ''),
    descriptors: descriptorsOf(pid, budgets.descriptors),
    root: fileIdentity(`/proc/${pid}/root/`),
  };
  // A process that ended meanwhile has empty files, which must not be taken for facts.
  return isAlive(pid) ? facts : undefined;
}

function isAlive(pid: number): boolean {
  const text = readProc(pid, 'status');
  return text !== undefined && !isEnded(statusFields(text));
}

function isEnded(status: ReadonlyMap<string, string>): boolean {
  return /^[ZX]/.test(status.get('State') ?? 'X');
}

/** Of all threads, each set of values once. */
function credentialsOf(pid: number, budget: Budget): Credentials[] {
  const seen = new Map<string, Credentials>();
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    if (!budget.take()) break;
    const text = readProc(pid, `task/${task}/status`);
    const credentials = text === undefined ? undefined : parseCredentials(text);
    if (credentials !== undefined) seen.set(credentialKey(credentials), credentials);
  }
  return [...seen.values()];
}

function credentialKey({ uids, gids, groups, capabilities, ...rest }: Credentials): string {
  return [uids, gids, groups, capabilities, rest.noNewPrivs, rest.seccompMode, rest.seccompFilters].join('|');
}

/** Namespaces by kind, `pid:[4026532629]`. Throws when the process is gone. */
export function namespacesOf(pid: number): Namespaces {
  const links = NAMESPACES.map((kind) => [kind, readlinkSync(`/proc/${pid}/ns/${kind}`)]);
  return Object.fromEntries(links) as Namespaces;
}

/** Path in the cgroup v2 hierarchy. */
function cgroupOf(pid: number): string {
  return /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? '';
}

/** `DEVICE:INODE`, which no other file or directory has as long as this one is there. */
export function fileIdentity(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true });
  return `${dev}:${ino}`;
}

function descriptorsOf(pid: number, budget: Budget): DescriptorFacts[] {
  const found: DescriptorFacts[] = [];
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    if (!budget.take()) break;
    const descriptor = descriptorFacts(pid, name);
    if (descriptor !== undefined) found.push(descriptor);
  }
  return found;
}

/** Undefined when it was closed meanwhile. */
function descriptorFacts(pid: number, name: string): DescriptorFacts | undefined {
  try {
    const target = readlinkSync(`/proc/${pid}/fd/${name}`);
    const fd = Number(name);
    if (!target.startsWith('/')) return { fd, target, mount: undefined, device: undefined, nameless: false };
    const stat = statSync(`/proc/${pid}/fd/${name}`);
    const mount = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${name}`, 'utf8'))?.[1];
    return {
      fd,
      target,
      mount: mount === undefined ? undefined : Number(mount),
      device: stat.isCharacterDevice() ? deviceText(stat.rdev) : undefined,
      nameless: stat.nlink === 0,
    };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}

function deviceText(rdev: number): string {
  const { major, minor } = deviceNumbers(rdev);
  return `${major}:${minor}`;
}
