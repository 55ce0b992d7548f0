import { capabilityMask, capabilityText } from '../base/capability-mask.ts';
import type { Declaration } from '../declare/declaration.ts';
import { PAYLOAD_GID, PAYLOAD_UID, UID_RANGE_SIZE } from '../plan/identity.ts';
import { payloadEnvironment } from '../plan/init-command.ts';
import type { SandboxPlan } from '../plan/plan.ts';
import { socketNames } from '../plan/rpc.ts';
import { type Credentials, NAMESPACES, type ProcessFacts, type SandboxFacts } from './facts.ts';
import { type Finding, finding, type Wall, wallOf } from './finding.ts';
import { KINDS } from './kinds.ts';

const OOM_SCORE = 1000;
/** Init keeps it to pass signals on; only in its permitted and effective sets. */
const INIT_CAPABILITIES = ['CAP_KILL'];

/** What is said about each process: init, the payload's main process, and all others. */
export function judgeProcesses(plan: SandboxPlan, declaration: Declaration, seen: SandboxFacts): Finding[] {
  const all = [seen.init, ...seen.processes];
  const payload = `of the payload: ${seen.processes.length}`;
  const holds = `init and ${payload}`;
  const capabilities = declaration.capabilities.length === 0 ? 'none' : declaration.capabilities.join(' ');
  const { files, memoryLock, core } = plan.limits;
  const resource = (wall: Wall, most: number | 'infinity', of: (member: ProcessFacts) => readonly [number, number]) =>
    wallOf(
      wall,
      `at most ${most}`,
      payload,
      seen.processes.flatMap((each) => resourceDeviations(each, of(each), most)),
    );
  const range = `0 ${plan.uidBase} ${UID_RANGE_SIZE}`;
  return [
    ...wallOf('namespaces', `${ownNamespaces(plan).join(', ')} of its own`, holds, namespaceDeviations(plan, seen)),
    ...wallOf(
      'id-range',
      `uid and gid map ${range}`,
      holds,
      all.flatMap((each) => mapDeviations(each, range)),
    ),
    ...wallOf('ids', `uid ${PAYLOAD_UID} and gid ${PAYLOAD_GID} of the range`, holds, [
      ...idDeviations(seen.init, plan.uidBase, [], plan.gated),
      ...seen.processes.flatMap((each) => idDeviations(each, plan.uidBase, declaration.capabilities, false)),
    ]),
    ...wallOf('groups', 'no supplementary groups', holds, all.flatMap(groupDeviations)),
    ...wallOf('capabilities', `at most ${capabilities}; init CAP_KILL`, holds, [
      ...initCapabilityDeviations(seen.init),
      ...seen.processes.flatMap((each) => capabilityDeviations(each, capabilityMask(declaration.capabilities))),
    ]),
    ...wallOf(
      'no-new-privs',
      'set',
      holds,
      deviations(all, ({ noNewPrivs }) => (noNewPrivs ? '' : 'not set')),
    ),
    ...seccompFindings(seen, payload),
    ...wallOf('oom-score', String(OOM_SCORE), payload, seen.processes.flatMap(oomDeviations)),
    ...resource('open-files', files, ({ openFiles }) => openFiles),
    ...resource('memory-lock', memoryLock, (each) => each.memoryLock),
    ...resource('core-size', core, ({ coreSize }) => coreSize),
    ...wallOf(
      'environment',
      'the planned variables of the main process',
      'as planned',
      environmentDeviations(plan, declaration, seen),
    ),
    ...wallOf(
      'parents',
      `all descend from init, and init from ${KINDS[plan.isolation].maker}`,
      holds,
      parentDeviations(seen),
    ),
    ...wallOf('cgroup', 'payload of the unit', holds, cgroupDeviations(plan, seen)),
  ];
}

/** `process 17 'name'`. The name is the payload's own choice; whoever prints it escapes it. */
export function nameOf({ pid, name }: ProcessFacts): string {
  return `process ${pid} '${name}'`;
}

/** What is wrong with the credentials of a process, in one of its threads at least; '' for nothing. */
function deviations(processes: readonly ProcessFacts[], look: (credentials: Credentials) => string): string[] {
  return processes.flatMap((member) => {
    const wrong = new Set(member.credentials.map(look).filter((text) => text !== ''));
    return [...wrong].map((text) => `${nameOf(member)}: ${text}`);
  });
}

/** All, but for the network's where the host's was asked for. */
function ownNamespaces({ network }: SandboxPlan): (typeof NAMESPACES)[number][] {
  return NAMESPACES.filter((kind) => kind !== 'net' || network.mode !== 'host');
}

function namespaceDeviations(plan: SandboxPlan, { init, processes, hostNamespaces }: SandboxFacts): string[] {
  const shared = ownNamespaces(plan).filter((kind) => init.namespaces[kind] === hostNamespaces[kind]);
  const ofHost = shared.length === 0 ? [] : [`${nameOf(init)}: shares ${shared.join(', ')} with the host`];
  return [
    ...ofHost,
    ...processes.flatMap((member) => {
      const other = NAMESPACES.filter((kind) => member.namespaces[kind] !== init.namespaces[kind]);
      return other.length === 0 ? [] : [`${nameOf(member)}: has another ${other.join(', ')} namespace than init`];
    }),
  ];
}

function mapDeviations(member: ProcessFacts, range: string): string[] {
  const maps = [
    ['uid', member.uidMap],
    ['gid', member.gidMap],
  ] as const;
  return maps.filter(([, map]) => map !== range).map(([what, map]) => `${nameOf(member)}: ${what} map ${map}`);
}

/** Of real, effective, saved and that for files: the last. */
const FOR_FILES = 3;

/**
 * Init is root of the range; its gate looks at files as the payload does. A payload that may change its ids stays inside
 * the range, and off its root.
 */
function idDeviations(member: ProcessFacts, base: number, capabilities: readonly string[], gated: boolean): string[] {
  const isInit = member.innerPid === 1;
  const looks = [
    ['uid', 'CAP_SETUID', PAYLOAD_UID, (each: Credentials) => each.uids],
    ['gid', 'CAP_SETGID', PAYLOAD_GID, (each: Credentials) => each.gids],
  ] as const;
  return looks.flatMap(([what, capability, payload, ids]) =>
    deviations([member], (each) => {
      const free = capabilities.includes(capability);
      const own = base + (isInit ? 0 : payload);
      const isWrong = (id: number, which: number): boolean => {
        if (free) return id <= base || id >= base + UID_RANGE_SIZE;
        return id !== own && !(gated && which === FOR_FILES && id === base + payload);
      };
      const wrong = ids(each).filter(isWrong);
      return wrong.length === 0 ? '' : `${what} ${[...new Set(wrong)].map((id) => place(id, base)).join(', ')}`;
    }),
  );
}

function place(id: number, base: number): string {
  const inside = id - base;
  return inside >= 0 && inside < UID_RANGE_SIZE ? `${id} (${inside} inside)` : `${id} (outside the range)`;
}

function groupDeviations(member: ProcessFacts): string[] {
  return deviations([member], ({ groups }) => (groups.length === 0 ? '' : `groups ${groups.join(' ')}`));
}

const SETS = ['inheritable', 'permitted', 'effective', 'bounding', 'ambient'] as const;

/** A program may give up what it was given; it must not have more. */
function capabilityDeviations(member: ProcessFacts, declared: bigint): string[] {
  return deviations([member], ({ capabilities }) => excess(capabilities.map((set) => set & ~declared)));
}

function initCapabilityDeviations(member: ProcessFacts): string[] {
  const kept = capabilityMask(INIT_CAPABILITIES);
  return deviations([member], ({ capabilities }) =>
    excess(capabilities.map((set, index) => (index === 1 || index === 2 ? set & ~kept : set))),
  );
}

function excess(sets: readonly bigint[]): string {
  return sets.flatMap((set, index) => (set === 0n ? [] : [`${SETS[index]} ${capabilityText(set)}`])).join('; ');
}

function seccompFindings({ processes }: SandboxFacts, holds: string): Finding[] {
  const wrong = deviations(processes, ({ seccompMode, seccompFilters }) => {
    if (seccompMode !== 2) return `mode ${seccompMode}`;
    return seccompFilters === null || seccompFilters === 1 ? '' : `${seccompFilters} filters`;
  });
  const untold = processes.some(({ credentials }) => credentials.some((each) => each.seccompFilters === null));
  const wanted = 'filter mode, exactly one filter';
  if (wrong.length === 0 && untold)
    return [finding('seccomp', 'unknown', wanted, 'filter mode; this kernel does not tell how many filters')];
  return wallOf('seccomp', wanted, holds, wrong);
}

function oomDeviations(member: ProcessFacts): string[] {
  return member.oomScoreAdj === OOM_SCORE ? [] : [`${nameOf(member)}: ${member.oomScoreAdj}`];
}

function resourceDeviations(
  member: ProcessFacts,
  [soft, hard]: readonly [number, number],
  most: number | 'infinity',
): string[] {
  if (most === 'infinity' || Math.max(soft, hard) <= most) return [];
  return [`${nameOf(member)}: soft ${soft}, hard ${hard}`];
}

/** A process may give its children whatever environment it likes, so only what it was started with is compared. */
function environmentDeviations(plan: SandboxPlan, declaration: Declaration, seen: SandboxFacts): string[] {
  const main = seen.processes.find(({ pid }) => pid === seen.mainPid);
  if (main === undefined) return [];
  const wanted = new Map(Object.entries(plannedEnvironment(plan, declaration, main.innerPid)));
  const given = main.environment.map((variable) => {
    const equals = variable.indexOf('=');
    return equals < 0 ? ([variable, undefined] as const) : [variable.slice(0, equals), variable.slice(equals + 1)];
  });
  const names = new Set(given.map(([name]) => name));
  // Names only: values may be what a declaration's author calls a secret.
  return [
    ...given.flatMap(([name, value]) => {
      if (!wanted.has(name ?? '')) return [`'${name}' is not planned`];
      return wanted.get(name ?? '') === value ? [] : [`'${name}' has another value`];
    }),
    ...[...wanted.keys()].filter((name) => !names.has(name)).map((name) => `'${name}' is missing`),
  ];
}

function plannedEnvironment(plan: SandboxPlan, declaration: Declaration, innerPid: number): Record<string, string> {
  const { machine } = plan;
  const names = socketNames(declaration, plan.listeners);
  return {
    ...payloadEnvironment(declaration, machine),
    ...(declaration.health.ready === 'notify' ? { NOTIFY_SOCKET: NOTIFY_PATH } : {}),
    ...(names.length === 0
      ? {}
      : {
          LISTEN_FDS: String(names.length),
          LISTEN_PID: String(innerPid),
          LISTEN_FDNAMES: names.join(':'),
        }),
  };
}

/** Where init listens for the payload's notifications; native/init/payload.h. */
const NOTIFY_PATH = '/run/notify';

function parentDeviations({ init, processes, prober }: SandboxFacts): string[] {
  const ours = new Set([init.pid, ...(prober === undefined ? [] : [prober.pid])]);
  const parents = new Map(processes.map(({ pid, parent }) => [pid, parent]));
  return processes.flatMap((member) => {
    let at: number | undefined = member.pid;
    for (let steps = 0; at !== undefined && !ours.has(at) && steps <= processes.length; steps++) at = parents.get(at);
    return at !== undefined && ours.has(at)
      ? []
      : [`${nameOf(member)}: child of ${member.parent}, which is not of the sandbox`];
  });
}

function cgroupDeviations(plan: SandboxPlan, seen: SandboxFacts): string[] {
  const { init, processes, besidePayload, forwarders } = seen;
  const known = new Set([init.parent, ...forwarders.map(({ pid }) => pid)]);
  return [
    ...[init, ...processes]
      .filter(({ cgroup }) => cgroup !== plan.payloadCgroup)
      .map((member) => `${nameOf(member)}: is in '${member.cgroup}'`),
    ...besidePayload.filter((pid) => !known.has(pid)).map((pid) => `process ${pid}: is in the unit beside its payload`),
  ];
}
