import { standardMount as mount, type StandardMount } from './standard-mount.ts';

const INACCESSIBLE = ['kallsyms', 'kcore', 'keys', 'latency_stats', 'sysrq-trigger', 'timer_list'];
const PROC_READ_ONLY = ['acpi', 'apm', 'asound', 'bus', 'fs', 'irq', 'scsi', 'sys', 'sysrq-trigger'];
const SYS = ['block', 'bus', 'class', 'dev', 'devices', 'firmware', 'fs', 'hypervisor', 'kernel', 'module', 'power'];
const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty', 'net/tun'];

/**
 * What systemd-nspawn mounts into every container, whatever it was told; the same table is in docs/security.md. Of
 * systemd 257. What is writable belongs to the root of the user namespace, which no payload is. Twice where
 * nspawn mounts something and then mounts over it, or mounts it again from inside.
 */
export const NSPAWN_MOUNTS: readonly StandardMount[] = [
  mount('/dev', 'tmpfs', 'rw'),
  mount('/dev/mqueue', 'mqueue', 'rw'),
  mount('/dev/pts', 'devpts', 'rw'),
  mount('/dev/shm', 'tmpfs', 'rw'),
  mount('/proc', 'proc', 'rw'),
  mount('/proc/kmsg', 'tmpfs', 'rw'),
  mount('/proc/sys/kernel/random/boot_id', 'tmpfs', 'ro'),
  mount('/proc/sys/kernel/random/boot_id', 'tmpfs', 'rw'),
  mount('/proc/sys/net', 'proc', 'rw', 2),
  mount('/run', 'tmpfs', 'rw'),
  mount('/run/host', 'tmpfs', 'ro'),
  mount('/run/host/incoming', 'tmpfs', 'ro'),
  mount('/run/host/os-release', '*', 'ro'),
  mount('/run/host/unix-export', 'tmpfs', 'rw'),
  mount('/sys', 'tmpfs', 'ro'),
  mount('/sys', 'sysfs', 'ro'),
  mount('/sys/fs/cgroup', 'cgroup2', 'rw'),
  ...INACCESSIBLE.map((name) => mount(`/proc/${name}`, 'tmpfs', 'ro')),
  ...PROC_READ_ONLY.map((name) => mount(`/proc/${name}`, 'proc', 'ro')),
  ...SYS.map((name) => mount(`/sys/${name}`, 'sysfs', 'ro')),
  // Bound from the host where it may not make device nodes.
  ...DEVICES.map((name) => mount(`/dev/${name}`, 'devtmpfs', 'rw')),
  ...DEVICES.map((name) => mount(`/dev/${name}`, 'tmpfs', 'rw')),
];
