import { type Attempt, harmless, opening, refused } from '../attempt.ts';

const FILES = [
  'cgroup.procs',
  'cgroup.threads',
  'cgroup.subtree_control',
  'cgroup.kill',
  'cgroup.freeze',
  'cgroup.max.descendants',
];

export const CGROUPS: readonly Attempt[] = [
  ...FILES.map((name) => opening(`/sys/fs/cgroup/${name}`, 'w', 'EACCES')),
  ...['memory.max', 'pids.max', 'cpu.max', 'release_agent', 'notify_on_release'].map((name) =>
    opening(`/sys/fs/cgroup/${name}`, 'w', 'ENOENT'),
  ),
  {
    name: 'a cgroup of its own',
    steps: () => [['call', 'mkdir', 's:/sys/fs/cgroup/own', 0o755]],
    expects: refused('EROFS'),
  },
  {
    name: 'the way to its cgroup on the host',
    steps: () => [
      ['open', '/proc/self/cgroup', 'r'],
      ['read', 4096],
    ],
    expects: harmless(/(?:^|\\x0a)0::\/\\x0a$/),
  },
  {
    name: 'a cgroup above its own',
    steps: () => [['list', '/sys/fs/cgroup/..']],
    expects: harmless(/^(?!.*(?:system\.slice|plugin))/),
  },
];
