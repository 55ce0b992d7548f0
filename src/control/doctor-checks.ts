import { formatBytes } from '../base/bytes.ts';

/** What was seen of the host, or why it could not be looked at. */
export type Fact<T> = { readonly known: T } | { readonly unknown: string };

/** The outcome of something that was tried. */
export interface Trial {
  readonly worked: boolean;
  readonly text: string;
}

export interface Space {
  readonly path: string;
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly freeInodes: number;
  /** 0 for file systems that make inodes as they need them (btrfs). */
  readonly totalInodes: number;
}

/** Everything that `bulkheadctl doctor` judges; gathered by doctor-facts.ts. */
export interface DoctorFacts {
  /** /proc/1/comm. */
  readonly init: Fact<string>;
  readonly systemdVersion: Fact<number>;
  /** uname -r. */
  readonly kernel: Fact<string>;
  /** What is mounted on /sys/fs/cgroup. */
  readonly cgroups: Fact<'unified' | 'hybrid' | 'legacy'>;
  /** cgroup.controllers of the root. */
  readonly controllers: Fact<readonly string[]>;
  /** First line of `systemd-nspawn --version`; null when the program is not there. */
  readonly nspawn: Fact<string | null>;
  /** A real sandbox of /bin/true with a private range of user ids. */
  readonly nspawnTrial: Fact<Trial>;
  /** user.max_user_namespaces. */
  readonly maxUserNamespaces: Fact<number>;
  /** `unshare --user true`. */
  readonly userNamespaceTrial: Fact<Trial>;
  /** kernel.seccomp.actions_avail; null when the kernel has no seccomp filters. */
  readonly seccompActions: Fact<readonly string[] | null>;
  /** Compiled filters below /run/bulkhead/seccomp. */
  readonly filters: Fact<readonly string[]>;
  readonly addon: Fact<Trial>;
  readonly systemBus: Fact<Trial>;
  readonly polkit: Fact<boolean>;
  /** Why no plugin may start; null while safe mode is off. */
  readonly safeMode: Fact<string | null>;
  /** Version of the supervisor that answers, or why it does not. */
  readonly supervisor: Fact<{ readonly version: string } | { readonly failure: string }>;
  readonly ownVersion: string;
  /** Files of the package and whether they are there. */
  readonly installation: Fact<readonly { readonly path: string; readonly present: boolean }[]>;
  /** bulkhead's own configuration: its files, and what is wrong with them. */
  readonly configuration: Fact<{ readonly files: readonly string[]; readonly problems: readonly string[] }>;
  readonly space: Fact<readonly Space[]>;
  /** Whether the file system of the state directories has project quotas. */
  readonly stateQuotas: Fact<boolean>;
  /** kernel.core_pattern, and whether the program of systemd-coredump(8) is there. */
  readonly corePattern: Fact<{ readonly pattern: string; readonly collector: boolean }>;
  /** Whether a kernel is loaded for the crash of this one, and bytes reserved for it; null in a container. */
  readonly kdump: Fact<{ readonly loaded: boolean; readonly reservedBytes: number } | null>;
  /** Whether /proc/pressure can be read. */
  readonly pressure: Fact<boolean>;
  /** Which of these files every cgroup but the root has: cgroup.kill, cgroup.freeze. */
  readonly cgroupFiles: Fact<readonly string[]>;
  /** net.ipv4.tcp_migrate_req; null before Linux 5.14. */
  readonly tcpMigrateReq: Fact<number | null>;
  /** Milliseconds since 1970, and whether something keeps the clock right. */
  readonly clock: Fact<{ readonly now: number; readonly synchronised: boolean }>;
}

export interface Finding {
  readonly check: string;
  readonly verdict: 'ok' | 'warning' | 'error' | 'unknown';
  readonly text: string;
  readonly advice?: string;
}

type Judgement = Omit<Finding, 'check'>;

/** The floors of the design: Debian 12's systemd; below 5.10 the cgroup and pidfd interfaces are incomplete. */
const OLDEST_SYSTEMD = 252;
const OLDEST_KERNEL = [5, 10] as const;
/** MOVE_MOUNT_BENEATH of move_mount(2). */
const KERNEL_WITH_TUCK = [6, 5] as const;
/** Runtime state and incidents stay far below this. */
const LEAST_FREE_BYTES = 64 * 1024 ** 2;
const LEAST_FREE_INODES = 1024;
/** One sandbox needs one user namespace; the figure leaves room for a node full of them. */
const FEW_USER_NAMESPACES = 64;
/** 2026-01-01: a clock before the program was written is wrong. */
const EARLIEST_TIME = 1_767_225_600_000;

const CONTROLLERS: readonly [name: string, consequence: string][] = [
  ['memory', 'memory limits are not enforced and memory is not shown'],
  ['pids', 'limits.tasks is not enforced: a fork bomb reaches the whole host'],
  ['cpu', 'limits.cpu and limits.cpu-weight are not enforced'],
  ['io', 'io limits are not enforced'],
];

/** One check: its name, and a pure judgement of what was seen. */
interface Check {
  readonly name: string;
  judge(facts: DoctorFacts): Judgement;
}

export const DOCTOR_CHECKS: readonly Check[] = [
  { name: 'init', judge: (facts) => about(facts.init, judgeInit) },
  { name: 'systemd', judge: (facts) => about(facts.systemdVersion, judgeSystemd) },
  { name: 'kernel', judge: (facts) => about(facts.kernel, judgeKernel) },
  { name: 'cgroups', judge: (facts) => about(facts.cgroups, judgeCgroups) },
  { name: 'controllers', judge: (facts) => about(facts.controllers, judgeControllers) },
  { name: 'cgroup files', judge: (facts) => about(facts.cgroupFiles, judgeCgroupFiles) },
  { name: 'pressure', judge: (facts) => about(facts.pressure, judgePressure) },
  { name: 'user namespaces', judge: (facts) => about(facts.maxUserNamespaces, judgeUserNamespaces) },
  { name: 'user namespace trial', judge: (facts) => about(facts.userNamespaceTrial, judgeUserNamespaceTrial) },
  { name: 'nspawn', judge: (facts) => about(facts.nspawn, judgeNspawn) },
  { name: 'sandbox trial', judge: (facts) => about(facts.nspawnTrial, judgeNspawnTrial) },
  { name: 'seccomp', judge: (facts) => about(facts.seccompActions, judgeSeccomp) },
  { name: 'filters', judge: (facts) => about(facts.filters, judgeFilters) },
  { name: 'addon', judge: (facts) => about(facts.addon, judgeAddon) },
  { name: 'system bus', judge: (facts) => about(facts.systemBus, judgeSystemBus) },
  { name: 'polkit', judge: (facts) => about(facts.polkit, judgePolkit) },
  { name: 'safe mode', judge: (facts) => about(facts.safeMode, judgeSafeMode) },
  { name: 'supervisor', judge: (facts) => about(facts.supervisor, (seen) => judgeSupervisor(seen, facts.ownVersion)) },
  { name: 'installation', judge: (facts) => about(facts.installation, judgeInstallation) },
  { name: 'configuration', judge: (facts) => about(facts.configuration, judgeConfiguration) },
  { name: 'space', judge: (facts) => about(facts.space, judgeSpace) },
  { name: 'state quotas', judge: (facts) => about(facts.stateQuotas, judgeStateQuotas) },
  { name: 'core dumps', judge: (facts) => about(facts.corePattern, judgeCorePattern) },
  { name: 'kdump', judge: (facts) => about(facts.kdump, judgeKdump) },
  { name: 'tcp_migrate_req', judge: (facts) => about(facts.tcpMigrateReq, judgeMigrateReq) },
  { name: 'clock', judge: (facts) => about(facts.clock, judgeClock) },
];

/** All findings, in the order of the table. */
export function examine(facts: DoctorFacts): readonly Finding[] {
  return DOCTOR_CHECKS.map((check) => ({ check: check.name, ...check.judge(facts) }));
}

function about<T>(fact: Fact<T>, judge: (known: T) => Judgement): Judgement {
  return 'known' in fact ? judge(fact.known) : { verdict: 'unknown', text: fact.unknown };
}

function ok(text: string): Judgement {
  return { verdict: 'ok', text };
}

function warning(text: string, advice: string): Judgement {
  return { verdict: 'warning', text, advice };
}

function error(text: string, advice: string): Judgement {
  return { verdict: 'error', text, advice };
}

function judgeInit(comm: string): Judgement {
  if (comm === 'systemd') return ok('systemd is PID 1');
  return error(`PID 1 is '${comm}', not systemd`, 'bulkhead needs a machine (or machine container) booted by systemd');
}

function judgeSystemd(version: number): Judgement {
  if (version >= OLDEST_SYSTEMD) return ok(`version ${version}`);
  return error(
    `version ${version} is older than ${OLDEST_SYSTEMD}`,
    `upgrade to a distribution with systemd ${OLDEST_SYSTEMD} or newer`,
  );
}

function judgeKernel(release: string): Judgement {
  const match = /^(\d+)\.(\d+)/.exec(release);
  if (match === null) return { verdict: 'unknown', text: `release '${release}' is not understood` };
  const version = [Number(match[1]), Number(match[2])] as const;
  if (isBefore(version, OLDEST_KERNEL)) {
    return error(`Linux ${release} is older than ${OLDEST_KERNEL.join('.')}`, 'boot a newer kernel');
  }
  if (isBefore(version, KERNEL_WITH_TUCK)) {
    return ok(
      `Linux ${release}; in-place upgrades will use the fallback for kernels before ${KERNEL_WITH_TUCK.join('.')}`,
    );
  }
  return ok(`Linux ${release}`);
}

function isBefore(version: readonly [number, number], floor: readonly [number, number]): boolean {
  return version[0] < floor[0] || (version[0] === floor[0] && version[1] < floor[1]);
}

function judgeCgroups(kind: 'unified' | 'hybrid' | 'legacy'): Judgement {
  if (kind === 'unified') return ok('version 2 (unified)');
  const advice = 'boot with systemd.unified_cgroup_hierarchy=1 and without cgroup_no_v1=';
  if (kind === 'hybrid')
    return error('version 1 with version 2 beside it (hybrid): limits cannot be set on sandboxes', advice);
  return error('version 1', advice);
}

function judgeControllers(present: readonly string[]): Judgement {
  const missing = CONTROLLERS.filter(([name]) => !present.includes(name));
  if (missing.length === 0) return ok(`${present.join(' ')}`);
  const text = missing.map(([name, consequence]) => `${name} is missing: ${consequence}`).join('; ');
  return warning(
    text,
    'check cgroup_disable= on the kernel command line, and that no version 1 hierarchy holds the controller',
  );
}

function judgeUserNamespaces(most: number): Judgement {
  const advice =
    'set user.max_user_namespaces in /etc/sysctl.d (15000, say); the limits kernel.unprivileged_userns_clone and of AppArmor do not concern root';
  if (most === 0) return error('user.max_user_namespaces is 0: no sandbox can start', advice);
  if (most < FEW_USER_NAMESPACES)
    return warning(`user.max_user_namespaces is only ${most}; each sandbox needs one`, advice);
  return ok(`up to ${most}`);
}

function judgeUserNamespaceTrial(trial: Trial): Judgement {
  if (trial.worked) return ok('one was made');
  return error(
    `could not be made: ${trial.text}`,
    'look for a security module or a container around this machine that forbids it',
  );
}

function judgeNspawn(version: string | null): Judgement {
  if (version === null) return error('systemd-nspawn is not installed', 'install the package systemd-container');
  return ok(version);
}

function judgeNspawnTrial(trial: Trial): Judgement {
  if (trial.worked) return ok('/bin/true ran with a private range of user ids');
  return error(
    `/bin/true did not run: ${trial.text}`,
    'see the other errors first; then the journal of the transient unit',
  );
}

function judgeSeccomp(actions: readonly string[] | null): Judgement {
  if (actions === null) return error('the kernel has no seccomp filters', 'boot a kernel with CONFIG_SECCOMP_FILTER');
  if (actions.includes('kill_process')) return ok('filters that kill the process are available');
  return error('the action kill_process is missing', 'boot a kernel from 4.14 on');
}

function judgeFilters(files: readonly string[]): Judgement {
  if (files.length === 0) return ok('none compiled yet; each is compiled when a plugin first needs it');
  return ok(`${files.length} compiled`);
}

function judgeAddon(trial: Trial): Judgement {
  return trial.worked ? ok('loads') : error(`does not load: ${trial.text}`, 'reinstall the package');
}

function judgeSystemBus(trial: Trial): Judgement {
  return trial.worked ? ok('answers') : error(`does not answer: ${trial.text}`, 'install dbus and start dbus.socket');
}

function judgePolkit(present: boolean): Judgement {
  if (present) return ok('installed');
  return warning('not installed: only root can control plugins and read their state', 'install polkitd');
}

function judgeSupervisor(seen: { readonly version: string } | { readonly failure: string }, own: string): Judgement {
  if ('failure' in seen) return error(`does not answer: ${seen.failure}`, 'see "systemctl status bulkheadd"');
  if (seen.version === own) return ok(`version ${seen.version} answers`);
  return warning(
    `version ${seen.version} answers, but ${own} is installed`,
    'run "systemctl restart bulkheadd"; plugins are not interrupted',
  );
}

function judgeInstallation(files: readonly { readonly path: string; readonly present: boolean }[]): Judgement {
  const missing = files.filter((file) => !file.present).map((file) => file.path);
  if (missing.length === 0) return ok(`all ${files.length} essential files are there`);
  return error(`missing: ${missing.join(', ')}`, 'reinstall the package');
}

function judgeConfiguration({ files, problems }: { files: readonly string[]; problems: readonly string[] }): Judgement {
  const [first] = problems;
  if (first === undefined) return ok(files.length === 0 ? 'none: the defaults hold' : files.join(', '));
  const more = problems.length === 1 ? '' : ` (and ${problems.length - 1} more)`;
  return error(
    `not taken: ${first}${more}`,
    'until it is corrected, what was read before it holds, or the defaults; then run "systemctl reload bulkheadd"',
  );
}

function judgeSpace(spaces: readonly Space[]): Judgement {
  const short = spaces.flatMap((space) => {
    const bytes = space.freeBytes < LEAST_FREE_BYTES ? [`${space.path} has ${formatBytes(space.freeBytes)} free`] : [];
    const inodes =
      space.totalInodes > 0 && space.freeInodes < LEAST_FREE_INODES
        ? [`${space.path} has ${space.freeInodes} inodes free`]
        : [];
    return [...bytes, ...inodes];
  });
  if (short.length > 0) return warning(short.join('; '), 'make room: state and incidents are written there');
  return ok(spaces.map((space) => `${space.path} ${formatBytes(space.freeBytes)} free`).join(', '));
}

function judgeStateQuotas(present: boolean): Judgement {
  if (present) return ok('the file system has project quotas: state.quota is enforced');
  return ok('none: state.quota would not be enforced; mount /var/lib/bulkhead/state with prjquota to have it');
}

function judgeCorePattern(seen: { readonly pattern: string; readonly collector: boolean }): Judgement {
  const { pattern, collector } = seen;
  const without = 'incidents of crashes have no core dump';
  const advice = 'install systemd-coredump, and set limits.core of plugins whose core dumps are wanted';
  if (!pattern.startsWith('|')) {
    const where = pattern === '' ? 'thrown away' : `written to files ('${pattern}'), which a read-only sandbox refuses`;
    return warning(`${where}: ${without}`, advice);
  }
  if (!pattern.includes('systemd-coredump'))
    return ok(`collected by '${pattern.slice(1)}'; ${without}, which takes systemd-coredump`);
  if (collector) return ok('collected by systemd-coredump');
  return warning(`meant for systemd-coredump, which is not installed: ${without}`, advice);
}

function judgeKdump(seen: { readonly loaded: boolean; readonly reservedBytes: number } | null): Judgement {
  if (seen === null) return ok("a matter of the machine around this container's");
  if (seen.loaded) return ok('a kernel is loaded that saves the memory of one that crashed');
  const consequence = 'a crash of the kernel leaves nothing to examine';
  if (seen.reservedBytes > 0)
    return warning(
      `${formatBytes(seen.reservedBytes)} are reserved, but no kernel is loaded: ${consequence}`,
      'start kdump-tools (or kdump), and see its journal',
    );
  return warning(
    `no memory is reserved for it: ${consequence}`,
    'install kdump-tools and boot with crashkernel=, or leave it where nobody examines crashes of the kernel',
  );
}

function judgePressure(present: boolean): Judgement {
  if (present) return ok('the kernel tells of shortages (PSI)');
  return warning(
    'the kernel does not tell of shortages (PSI): a plugin that is slow because the node is cannot be told so well from one that hangs',
    'boot with psi=1, or a kernel with CONFIG_PSI',
  );
}

function judgeCgroupFiles(present: readonly string[]): Judgement {
  if (!present.includes('cgroup.kill'))
    return error('cgroup.kill is missing: sandboxes cannot be ended for sure', 'boot a kernel from 5.14 on');
  if (!present.includes('cgroup.freeze'))
    return warning(
      'cgroup.freeze is missing: the step freeze of recovery fails, and a frozen plugin is not recognised',
      'boot a kernel from 5.2 on, with CONFIG_CGROUP_FREEZER or newer',
    );
  return ok('sandboxes can be killed and frozen as a whole');
}

function judgeSafeMode(reason: string | null): Judgement {
  if (reason === null) return ok('off');
  return warning(`on, no plugin starts: ${reason}`, 'run "bulkheadctl safe-mode off" when the cause is found');
}

function judgeMigrateReq(value: number | null): Judgement {
  if (value === null) return ok('not known to this kernel (before 5.14); not needed');
  if (value === 1) return ok('1: queued connections move on when a listener is closed by mistake');
  return ok('0; not needed, since listeners are never closed while a plugin is wanted, but 1 is a safety net');
}

function judgeClock(seen: { readonly now: number; readonly synchronised: boolean }): Judgement {
  if (seen.now < EARLIEST_TIME)
    return warning('the clock is years behind', 'set it; events and incidents carry its time');
  if (seen.synchronised) return ok('synchronised');
  return warning(
    'not known to be synchronised',
    'run an NTP client if events are compared with those of other hosts; nothing else depends on it',
  );
}
