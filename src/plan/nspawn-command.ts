import { UID_RANGE_SIZE } from './identity.ts';
import { initFiles } from './init-command.ts';
import { EGRESS_CAPABILITIES, forwarderCommand } from './network.ts';
import type { HostPaths, PlannedMount, SandboxPlan } from './plan.ts';

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

/** What init needs to become the payload's user and to signal it, and to close what nspawn leaves open. */
const INIT_CAPABILITIES: readonly string[] = ['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP', 'CAP_KILL', 'CAP_SYS_ADMIN'];

/** The command of a sandbox's service: the launcher, which becomes nspawn, which executes init. */
export function nspawnCommand(plan: Omit<SandboxPlan, 'command'>, paths: HostPaths): readonly string[] {
  const launcher = [`${paths.lib}/plugin-launch`, plan.unit, ...forwarderCommand(plan, paths)];
  const [init = '', ...options] = plan.init;
  return [...launcher, '--', paths.nspawn, ...nspawnOptions(plan), init, '--view=close', ...options];
}

function nspawnOptions(plan: Omit<SandboxPlan, 'command'>): string[] {
  const { mode } = plan.network;
  const egress = mode === 'egress' ? EGRESS_CAPABILITIES : [];
  const kept = new Set([...INIT_CAPABILITIES, ...egress, ...plan.capabilities]);
  const { memoryLock, core } = plan.limits;
  const files = initFiles(plan);
  return [
    '--quiet',
    '--settings=no',
    '--keep-unit',
    '--register=no',
    `--machine=${plan.machine}`,
    // The payload's stdout and stderr are the journal's own stream: no pty, no copying, no line discipline.
    '--console=pipe',
    `--directory=${plan.rootDirectory}`,
    '--read-only',
    ...plan.mounts.map(mountOption),
    `--private-users=${plan.uidBase}:${UID_RANGE_SIZE}`,
    ...(mode === 'host' ? [] : ['--private-network']),
    '--no-new-privileges=yes',
    `--drop-capability=${NSPAWN_CAPABILITIES.filter((name) => !kept.has(name)).join(',')}`,
    // Not all of them are among those that nspawn leaves to a container, CAP_NET_ADMIN say with the host's network.
    ...(plan.capabilities.length === 0 ? [] : [`--capability=${plan.capabilities.join(',')}`]),
    // nspawn resets the limits to the kernel's defaults, and init could not raise the hard one again.
    `--rlimit=NOFILE=${files}:${files}`,
    `--rlimit=MEMLOCK=${memoryLock}:${memoryLock}`,
    `--rlimit=CORE=${core}:${core}`,
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
    // nspawn's mounts follow the host's; init leaves this one so (native/init/view.c).
    case 'slot':
    // What may be done with a device is a matter of the unit's policy: a read-only mount only protects the node.
    case 'device':
      return `--bind-ro=${escapePath(mount.source)}:${target}`;
    case 'bind':
      return `--bind=${escapePath(mount.source)}:${target}:idmap`;
    case 'bind-file':
      return `--bind=${escapePath(mount.source)}:${target}:norbind`;
    case 'tmpfs':
      return `--tmpfs=${target}:nosuid,nodev,mode=${mount.mode.toString(8).padStart(4, '0')},size=${mount.size},nr_inodes=${inodesOf(mount.size)}`;
  }
}

/**
 * The kernel would allow as many files as half of the node's memory has pages, and an empty file takes memory, too. As
 * many as this one has pages, of which a file with content takes one anyway, but enough for a small one.
 */
function inodesOf(size: number): number {
  return Math.max(LEAST_INODES, Math.floor(size / PAGE));
}

const LEAST_INODES = 1024;
const PAGE = 4096;

/** nspawn splits at ':' and takes a backslash before it (or before another one) as an escape. */
function escapePath(path: string): string {
  return path.replace(/[\\:]/g, '\\$&');
}
