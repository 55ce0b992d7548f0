import { type Attempt, forbidden, forbiddenAlone, killed, opening, refused } from '../attempt.ts';

/** See namespaces(7); the flags are those of sched.h. */
const FLAGS = {
  time: 0x00000080,
  mount: 0x00020000,
  cgroup: 0x02000000,
  uts: 0x04000000,
  ipc: 0x08000000,
  user: 0x10000000,
  pid: 0x20000000,
  network: 0x40000000,
} as const;
const SIGCHLD = 17;

/** struct clone_args of clone3(2), with flags alone. */
function cloneArguments(flags: number): string {
  const bytes = Buffer.alloc(88);
  bytes.writeBigUInt64LE(BigInt(flags), 0);
  bytes.writeBigUInt64LE(BigInt(SIGCHLD), 32);
  return `h:${bytes.toString('hex')}`;
}

export const NAMESPACES: readonly Attempt[] = [
  ...Object.entries(FLAGS).map(([name, flag]) =>
    (name === 'user' ? forbiddenAlone : forbidden)(`a new ${name} namespace by unshare`, ['unshare', flag]),
  ),
  forbiddenAlone('a new user namespace with all others in it by unshare', ['unshare', 0x7e020000]),
  ...Object.entries(FLAGS)
    .filter(([name]) => name !== 'time')
    .map(([name, flag]) =>
      (name === 'user' ? forbiddenAlone : forbidden)(`a new ${name} namespace by clone`, [
        'clone',
        flag | SIGCHLD,
        0,
        0,
        0,
        0,
      ]),
    ),
  {
    name: 'a new user namespace by clone3',
    steps: () => [['call', 'clone3', cloneArguments(FLAGS.user), 88]],
    expects: refused('ENOSYS'),
    filterOnly: true,
  },
  {
    name: 'a child in another cgroup by clone3',
    steps: () => [['call', 'clone3', cloneArguments(0x200000000), 88]],
    expects: refused('ENOSYS'),
  },
  {
    name: 'to enter its own mount namespace again by setns',
    steps: () => [
      ['open', '/proc/self/ns/mnt', 'r'],
      ['call', 'setns', 'fd', FLAGS.mount],
    ],
    expects: killed('setns'),
  },
  {
    name: 'to enter all namespaces of init by its pidfd',
    steps: () => [['call', 'setns', 0, 0x7e020000]],
    expects: killed('setns'),
  },
  ...['mnt', 'user', 'pid', 'net'].map((kind) => opening(`/proc/1/ns/${kind}`, 'r', 'EACCES')),
  {
    name: 'the parent of its user namespace, by ioctl',
    steps: () => [
      ['open', '/proc/self/ns/user', 'r'],
      ['call', 'ioctl', 'fd', 0xb701],
    ],
    expects: killed('ioctl'),
  },
  {
    name: 'the parent of its pid namespace, by ioctl',
    steps: () => [
      ['open', '/proc/self/ns/pid', 'r'],
      ['call', 'ioctl', 'fd', 0xb702],
    ],
    expects: killed('ioctl'),
  },
  ...['uid_map', 'gid_map'].map(
    (name): Attempt => ({
      name: `another ${name}`,
      steps: () => [
        ['open', `/proc/self/${name}`, 'w'],
        ['write', '0 0 1\\x0a'],
      ],
      expects: refused('EPERM'),
    }),
  ),
];
