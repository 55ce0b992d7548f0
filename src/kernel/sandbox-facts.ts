import { type Dirent, readdirSync, readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { ProcessFacts, SandboxFacts } from '../audit/facts.ts';
import { LIMIT_FILES } from '../audit/limit-rows.ts';
import { parseInterfaces, parseListening, parseMounts } from '../audit/proc-text.ts';
import { FORWARDER_UID } from '../plan/network.ts';
import type { SandboxPlan } from '../plan/plan.ts';
import { PROBER_NAME, questionsOf } from '../plan/probes.ts';
import { liveInTunnel } from '../plan/slot.ts';
import { CGROUP_ROOT, processesIn, readProc, unitOfProcess } from './cgroup.ts';
import { diskOf } from './disk.ts';
import { hostPath } from './file-facts.ts';
import { type HostProcesses, sharing } from './host-processes.ts';
import { Budget, type Budgets, fileIdentity, namespacesOf, processFacts } from './process-facts.ts';
import { roomIn } from './room.ts';
import { inodeOf, socketOrigins } from './socket-origins.ts';

/** For one look at one sandbox; far more than the limits of ordinary plugins allow. */
const MOST_PROCESSES = 4096;
const MOST_TASKS = 8192;
const MOST_DESCRIPTORS = 65_536;
/** Groups below the payload's, which only a defect could make. */
const MOST_GROUPS = 256;

/** What is looked at. */
export interface Target {
  readonly plan: SandboxPlan;
  /** Descriptors of the plugin's listening sockets. */
  readonly listeners: readonly number[];
}

/**
 * Reads all processes of a living sandbox from outside, without stopping or tracing any. Needs root, and CAP_SYS_PTRACE
 * for what /proc shows to nobody else (proc(5)). Undefined when there is no init, or none any more.
 */
export async function sandboxFacts(target: Target, host: HostProcesses): Promise<SandboxFacts | undefined> {
  const { plan } = target;
  const { cgroup, payloadCgroup } = plan;
  const budgets: Budgets = {
    tasks: new Budget(MOST_TASKS, `${MOST_TASKS} threads`),
    descriptors: new Budget(MOST_DESCRIPTORS, `${MOST_DESCRIPTORS} descriptors`),
  };
  const groups = groupsBelow(payloadCgroup);
  const inside = groups.flatMap(processesIn);
  const initPid = inside.find((pid) => /^NSpid:.*\s1$/m.test(readProc(pid, 'status') ?? ''));
  const init = initPid === undefined ? undefined : processFacts(initPid, budgets);
  if (init === undefined) return undefined;
  const unit = [...new Set(groupsBelow(cgroup).flatMap(processesIn))];
  const outside = new Set(unit.filter((pid) => isForwarder(pid, plan)));
  const members = [...new Set([...inside, ...sharing(host, hostFree(init))])].filter(
    (pid) => pid !== init.pid && !outside.has(pid),
  );
  const processes: ProcessFacts[] = [];
  for (const pid of members.slice(0, MOST_PROCESSES)) {
    const facts = processFacts(pid, budgets);
    if (facts !== undefined) processes.push(facts);
    await setImmediate();
  }
  const parent = processFacts(init.parent, budgets);
  const [main, ...others] = processes
    .filter(({ parent }) => parent === init.pid)
    .sort((one, other) => one.innerPid - other.innerPid);
  const mainPid = main?.pid;
  // Init forks them right after the payload, in this order.
  const next = (index: number) => others.find(({ innerPid }) => innerPid === (main?.innerPid ?? 0) + index);
  const adapts = plan.listeners.some(({ listen }) => listen.to !== undefined);
  const adapter = adapts ? next(1) : undefined;
  const prober = questionsOf(plan.probes, plan.metrics) > 0 ? next(adapts ? 2 : 1) : undefined;
  const payload = processes.filter((each) => each !== adapter && each !== prober && !isQuestion(each, prober));
  const mountinfo = readProc(init.pid, 'mountinfo');
  const interfaces = readProc(init.pid, 'net/dev');
  const hostMounts = readProc(1, 'mountinfo');
  // Without them it is ending.
  if (parent === undefined || mainPid === undefined || mountinfo === undefined || interfaces === undefined)
    return undefined;
  return {
    init,
    initParentUnit: unitOfProcess(init.parent),
    mainPid,
    processes: payload,
    forwarders: [...outside].map((pid) => processFacts(pid, budgets)).filter((facts) => facts !== undefined),
    adapter,
    prober,
    listening: listeningSockets(init.pid),
    unread: [
      ...budgets.tasks.complaint,
      ...budgets.descriptors.complaint,
      ...(members.length > MOST_PROCESSES ? [`${members.length} processes, of which ${MOST_PROCESSES} were read`] : []),
      ...(groups.length >= MOST_GROUPS ? [`${MOST_GROUPS} cgroups or more`] : []),
      ...(host.complete ? [] : ['the host has too many processes to look for strangers']),
    ],
    hostNamespaces: namespacesOf(1),
    besidePayload: groupsBelow(cgroup)
      .filter((group) => !groups.includes(group))
      .flatMap(processesIn),
    mounts: parseMounts(mountinfo),
    hostMounts: new Set(parseMounts(hostMounts ?? '').map((row) => row.target)),
    same: samePlaces(plan, init.pid),
    stateRoom: plan.state === undefined ? null : roomIn(plan.state.directory),
    plannedRoot: fileIdentity(plan.rootDirectory),
    interfaces: parseInterfaces(interfaces),
    sockets: await socketOrigins(payload, init, journalSockets(init), target.listeners, plan.rpc?.path),
    guardedPipes: new Set(
      [init, parent].flatMap(({ descriptors }) => descriptors.map((each) => each.target)).filter(isPipe),
    ),
    cgroupFiles: limitFiles(cgroup),
    disks: new Map(plan.limits.io.map(({ path }) => [path, diskOf(path)])),
  };

  /** What is shared with the host is a finding of its own, and not a reason to read all of the host's processes. */
  function hostFree(process: ProcessFacts): ProcessFacts['namespaces'] {
    const theirs = namespacesOf(1);
    const kinds = Object.entries(process.namespaces) as [keyof ProcessFacts['namespaces'], string][];
    return Object.fromEntries(
      kinds.map(([kind, own]) => [kind, own === theirs[kind] ? '' : own]),
    ) as ProcessFacts['namespaces'];
  }
}

/** By ids that nobody else has, in the host's pid namespace, where no payload is. */
function isForwarder(pid: number, { uidBase }: SandboxPlan): boolean {
  const status = readProc(pid, 'status') ?? '';
  return new RegExp(`^Uid:\\s${uidBase + FORWARDER_UID}\\s`, 'm').test(status) && /^NSpid:\s\d+$/m.test(status);
}

/** On its way to become a command, or to ask by a connection. As a command it is judged as the payload is. */
function isQuestion({ parent, name }: ProcessFacts, prober: ProcessFacts | undefined): boolean {
  return parent === prober?.pid && name === PROBER_NAME;
}

function listeningSockets(initPid: number): Map<string, string> {
  return new Map(['tcp', 'tcp6'].flatMap((table) => parseListening(readProc(initPid, `net/${table}`) ?? '')));
}

/** The files of a cgroup that say which limits are in force, trimmed; null for one that is not there. */
export function limitFiles(cgroup: string): Record<string, string | null> {
  return Object.fromEntries(LIMIT_FILES.map((file) => [file, fileText(`${CGROUP_ROOT}${cgroup}/${file}`)]));
}

/** Init hands its own standard streams on. */
function journalSockets({ descriptors }: ProcessFacts): ReadonlySet<string> {
  const streams = descriptors.filter(({ fd, target }) => (fd === 1 || fd === 2) && target.startsWith('socket:'));
  return new Set(streams.map(({ target }) => inodeOf(target)));
}

function isPipe(target: string): boolean {
  return target.startsWith('pipe:');
}

/** The group and those below it, at most MOST_GROUPS. */
function groupsBelow(cgroup: string): string[] {
  const groups = [cgroup];
  for (let index = 0; index < groups.length && groups.length < MOST_GROUPS; index++) {
    const group = groups[index] ?? '';
    groups.push(...directoriesIn(`${CGROUP_ROOT}${group}`).map((name) => `${group}/${name}`));
  }
  return groups.slice(0, MOST_GROUPS);
}

function directoriesIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry: Dirent) => entry.isDirectory())
      .map(({ name }) => name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Whether the sandbox sees at each planned bind what is at its source now. */
function samePlaces(plan: SandboxPlan, pid: number): Map<string, boolean> {
  const binds = plan.mounts.filter((mount) => mount.kind !== 'tmpfs');
  return new Map(
    binds.map(({ kind, source, target }) => {
      try {
        const there = kind === 'device' ? hostPath(source) : source;
        const inside = `/proc/${pid}/root${target}`;
        // A tunnel that does not follow the host any more is as wrong as another one.
        const live = kind !== 'slot' || fileIdentity(liveInTunnel(inside)) === fileIdentity(liveInTunnel(there));
        return [target, live && fileIdentity(inside) === fileIdentity(there)];
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ESRCH') return [target, false];
        throw error;
      }
    }),
  );
}

function fileText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENODEV') return null;
    throw error;
  }
}
