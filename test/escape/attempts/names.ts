import { type Attempt, harmless, refused } from '../attempt.ts';

/** Messages to systemd and to init that are not a payload's to send. */
export const NOTIFICATIONS: readonly Attempt[] = [
  {
    name: "nspawn's notification socket",
    steps: () => [['notify', '/run/host/notify', 'READY=1']],
    expects: refused('ENOENT'),
  },
  {
    name: "init's notification socket where none was declared",
    steps: () => [['notify', '/run/notify', 'READY=1']],
    expects: refused('ENOENT'),
  },
  {
    name: 'a variable that names one',
    steps: () => [['notify', '-', 'READY=1']],
    expects: refused('EDESTADDRREQ'),
  },
  {
    name: 'a core file',
    steps: () => [['crash', '|/bin/sh -c x']],
    expects: harmless(/^signal 6 core 0$/),
  },
  {
    name: "the host's name",
    steps: () => [
      ['open', '/proc/sys/kernel/hostname', 'r'],
      ['read', 128],
    ],
    expects: harmless(/^hostile\w+-a-g\d+\\x0a$/),
  },
  ...['shm', 'msg', 'sem'].map(
    (kind): Attempt => ({
      name: `the host's ${kind} of System V, by /proc`,
      steps: () => [
        ['open', `/proc/sysvipc/${kind}`, 'r'],
        ['read', 4096],
      ],
      expects: harmless(/^[^\\]*\\x0a$/),
      // Without it, an attempt before this one has made some itself.
      filterOnly: true,
    }),
  ),
  {
    name: "the host's queue of messages",
    steps: () => [['open', '/dev/mqueue/hostile-queue', 'r']],
    expects: refused('ENOENT'),
  },
];
