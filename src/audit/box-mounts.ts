import { COVERED_IN_PROC, standardMount as mount, type StandardMount } from './standard-mount.ts';

const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];

/** What the spawner mounts into every box; the same table is in docs/security.md. */
export const BOX_MOUNTS: readonly StandardMount[] = [
  mount('/proc', 'proc', 'rw'),
  ...COVERED_IN_PROC.map((name) => mount(`/proc/${name}`, 'tmpfs', 'ro')),
  mount('/proc/sys', 'proc', 'ro'),
  mount('/proc/sys/kernel/random/boot_id', 'tmpfs', 'ro'),
  mount('/sys', 'tmpfs', 'ro'),
  mount('/sys/fs/cgroup', 'cgroup2', 'ro'),
  mount('/dev', 'tmpfs', 'ro'),
  // A node on a read-only mount is as writable as its permissions say. The host's /dev may be either.
  ...DEVICES.map((name) => mount(`/dev/${name}`, 'devtmpfs', 'ro')),
  ...DEVICES.map((name) => mount(`/dev/${name}`, 'tmpfs', 'ro')),
  mount('/run', 'tmpfs', 'rw'),
];
