import type { Declaration } from '../declare/declaration.ts';
import { PAYLOAD_GID, PAYLOAD_UID, UID_RANGE_SIZE } from './identity.ts';
import type { PlannedListener, PlannedMount } from './plan.ts';
import { INIT_PATH, programInside, workingDirectory } from './sandbox-view.ts';

/** What nspawn and init are told about one sandbox. */
export interface CommandFacts {
  readonly nspawn: string;
  readonly machine: string;
  readonly uidBase: number;
  readonly rootDirectory: string;
  readonly mounts: readonly PlannedMount[];
  readonly listeners: readonly PlannedListener[];
  readonly declaration: Declaration;
}

/**
 * Capabilities that nspawn grants by default (systemd-nspawn(1), --capability=), and CAP_NET_ADMIN, which
 * --private-network adds. `--drop-capability=all` would also drop what init needs, so each is named.
 */
const NSPAWN_CAPABILITIES = [
  'CAP_AUDIT_CONTROL',
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_IPC_OWNER',
  'CAP_KILL',
  'CAP_LEASE',
  'CAP_LINUX_IMMUTABLE',
  'CAP_MKNOD',
  'CAP_NET_ADMIN',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_CHROOT',
  'CAP_SYS_NICE',
  'CAP_SYS_PTRACE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TTY_CONFIG',
] as const;

/** What init needs to become the payload's user and to signal it. */
const INIT_CAPABILITIES: readonly string[] = ['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP', 'CAP_KILL'];

/** Numbers of the signals that a declaration may name; the same on all architectures that systemd supports. */
const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGTERM: 15,
  SIGWINCH: 28,
};

/** Number of a signal that a declaration may name. Throws RangeError for another one. */
export function signalNumber(name: string): number {
  const number = SIGNAL_NUMBERS[name];
  if (number === undefined) throw new RangeError(`no number for signal '${name}'`);
  return number;
}

/** The whole command of a sandbox: nspawn with its options, init with its options, the payload with its arguments. */
export function sandboxCommand(facts: CommandFacts): string[] {
  return [facts.nspawn, ...nspawnOptions(facts), INIT_PATH, ...initOptions(facts), '--', ...payload(facts.declaration)];
}

function nspawnOptions(facts: CommandFacts): string[] {
  const { declaration, uidBase } = facts;
  const kept = new Set([...INIT_CAPABILITIES, ...declaration.capabilities]);
  const { files } = declaration.limits;
  return [
    '--quiet',
    '--settings=no',
    '--keep-unit',
    '--register=no',
    `--machine=${facts.machine}`,
    // The payload's stdout and stderr are the journal's own stream: no pty, no copying, no line discipline.
    '--console=pipe',
    `--directory=${facts.rootDirectory}`,
    '--read-only',
    ...facts.mounts.map(mountOption),
    `--private-users=${uidBase}:${UID_RANGE_SIZE}`,
    '--private-network',
    '--no-new-privileges=yes',
    `--drop-capability=${NSPAWN_CAPABILITIES.filter((name) => !kept.has(name)).join(',')}`,
    // nspawn resets the limits to the kernel's defaults, and init could not raise the hard one again.
    `--rlimit=NOFILE=${files}:${files}`,
    '--resolv-conf=off',
    '--timezone=off',
    '--link-journal=no',
    '--notify-ready=yes',
    '--kill-signal=SIGTERM',
  ];
}

/** One mount as nspawn's option. */
export function mountOption(mount: PlannedMount): string {
  const target = escapePath(mount.target);
  switch (mount.kind) {
    case 'bind-ro':
      return `--bind-ro=${escapePath(mount.source)}:${target}`;
    case 'bind':
      return `--bind=${escapePath(mount.source)}:${target}:idmap`;
    case 'tmpfs':
      return `--tmpfs=${target}:nosuid,nodev,mode=${mount.mode.toString(8).padStart(4, '0')},size=${mount.size}`;
    case 'device':
      return `--bind${mount.access === 'r' ? '-ro' : ''}=${escapePath(mount.source)}:${target}`;
  }
}

/** nspawn splits at ':' and takes a backslash before it (or before another one) as an escape. */
function escapePath(path: string): string {
  return path.replace(/[\\:]/g, '\\$&');
}

function initOptions({ declaration, listeners, machine }: CommandFacts): string[] {
  return [
    `--uid=${PAYLOAD_UID}`,
    `--gid=${PAYLOAD_GID}`,
    ...listeners.map(({ listen }) => `--listen=${listen.name}`),
    ...Object.entries(payloadEnvironment(declaration, machine)).map(([name, value]) => `--env=${name}=${value}`),
    `--chdir=${workingDirectory(declaration)}`,
    `--ready=${declaration.health.ready}`,
    `--stop-signal=${signalNumber(declaration.stop.signal)}`,
    `--nofile=${declaration.limits.files}`,
    ...declaration.capabilities.map((name) => `--cap=${name}`),
  ];
}

/** The payload's whole environment but for the LISTEN_* and NOTIFY_SOCKET that init adds. */
export function payloadEnvironment(declaration: Declaration, machine: string): Record<string, string> {
  return {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    HOME: '/tmp',
    LANG: 'C.UTF-8',
    TMPDIR: '/tmp',
    ...declaration.environment,
    BULKHEAD_PLUGIN: declaration.name,
    ...(declaration.version === undefined ? {} : { BULKHEAD_VERSION: declaration.version }),
    BULKHEAD_SANDBOX: machine,
  };
}

function payload(declaration: Declaration): string[] {
  return [programInside(declaration), ...declaration.exec.slice(1)];
}
