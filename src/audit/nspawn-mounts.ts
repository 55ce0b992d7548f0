import { COVERED_IN_PROC, standardMount as mount, type StandardMount } from './standard-mount.ts';

const PROC_READ_ONLY = ['acpi', 'apm', 'asound', 'bus', 'fs', 'irq', 'scsi', 'sysrq-trigger'];
const SYS = ['block', 'bus', 'class', 'dev', 'devices', 'firmware', 'fs', 'hypervisor', 'kernel', 'module', 'power'];
const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty', 'net/tun'];

/**
 * What systemd-nspawn mounts into every container, whatever it was told, after init has closed it
 * (`native/init/view.c`); the same table is in docs/security.md. Of systemd 257. Twice where one lies over the other:
 * what is writable of those lies below, where nobody gets to.
 */
export const NSPAWN_MOUNTS: readonly StandardMount[] = [
  mount('/dev', 'tmpfs', 'ro'),
  mount('/dev/mqueue', 'mqueue', 'ro'),
  mount('/dev/pts', 'devpts', 'ro'),
  mount('/dev/shm', 'tmpfs', 'rw'),
  mount('/proc', 'proc', 'rw'),
  mount('/proc/sys', 'proc', 'ro', 2),
  mount('/proc/sys/kernel/random/boot_id', 'tmpfs', 'ro', 2),
  mount('/proc/sys/kernel/random/boot_id', 'tmpfs', 'rw'),
  mount('/proc/sys/net', 'proc', 'ro'),
  mount('/proc/sys/net', 'proc', 'rw', 2),
  mount('/run', 'tmpfs', 'ro'),
  mount('/run/host', 'tmpfs', 'ro', 2),
  mount('/run/host/incoming', 'tmpfs', 'ro'),
  mount('/run/host/os-release', '*', 'ro'),
  mount('/run/host/unix-export', 'tmpfs', 'ro'),
  mount('/sys', 'tmpfs', 'ro', 2),
  mount('/sys', 'sysfs', 'ro'),
  mount('/sys/fs/cgroup', 'cgroup2', 'ro', 2),
  ...COVERED_IN_PROC.map((name) => mount(`/proc/${name}`, 'tmpfs', 'ro')),
  ...PROC_READ_ONLY.map((name) => mount(`/proc/${name}`, 'proc', 'ro')),
  ...SYS.map((name) => mount(`/sys/${name}`, 'sysfs', 'ro')),
  // Bound from the host where it may not make device nodes.
  ...DEVICES.map((name) => mount(`/dev/${name}`, 'devtmpfs', 'rw')),
  ...DEVICES.map((name) => mount(`/dev/${name}`, 'tmpfs', 'rw')),
];

/** Where init has laid an empty file system over nspawn's. */
export const NSPAWN_COVERED: readonly string[] = ['/sys', '/run/host'];
