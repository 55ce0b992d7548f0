import { readFileSync } from 'node:fs';
import { type Attempt, forbidden, forbiddenAlone, harmless, opening, refused } from '../attempt.ts';
import type { Scene } from '../scene.ts';

function ofHost(name: string, words: (pid: number) => readonly (string | number)[], error: string): Attempt {
  return {
    name,
    steps: ({ host }) => [words(host.pid)],
    expects: refused(error),
    after: ({ host }) => stillThere(host.pid),
  };
}

function ofNeighbour(name: string, words: (pid: number) => readonly (string | number)[], error: string): Attempt {
  return {
    name,
    steps: ({ neighbour }) => [words(neighbour.payloadPid ?? 0)],
    expects: refused(error),
    after: ({ neighbour }) => stillThere(neighbour.payloadPid ?? 0),
  };
}

function stillThere(pid: number): void {
  const state = /^State:\s+(\w)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (state === undefined || !'SRD'.includes(state)) throw new Error(`process ${pid} is in state ${state}`);
}

const CAP_SYS_RESOURCE = 24n;

function pidOneMaySetScores(): boolean {
  const effective = /^CapEff:\s+(\w+)/m.exec(readFileSync('/proc/1/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> CAP_SYS_RESOURCE) & 1n) === 1n;
}

const INIT_FILES = [
  'environ',
  'mem',
  'maps',
  'fd',
  'cwd',
  'root',
  'exe',
  'auxv',
  'stack',
  'syscall',
  'io',
  'map_files',
];

/** Init is root of the sandbox's user namespace. */
const OF_INIT: readonly Attempt[] = [
  ...INIT_FILES.map((name): Attempt => {
    const path = `/proc/1/${name}`;
    // The links themselves can be opened by nobody, so what they lead to is asked for.
    if (['cwd', 'root', 'exe'].includes(name))
      return { name: `where ${path} leads`, steps: () => [['read-link', path]], expects: refused('EACCES') };
    const how = name === 'fd' || name === 'map_files' ? 'rd' : 'r';
    return opening(path, how, 'EACCES');
  }),
  opening('/proc/1/mem', 'rw', 'EACCES'),
  opening('/proc/1/oom_score_adj', 'w', 'EACCES'),
  opening('/proc/1/clear_refs', 'w', 'EACCES'),
  opening('/proc/1/coredump_filter', 'w', 'EACCES'),
  opening('/proc/1/uid_map', 'w', 'EACCES'),
  opening('/proc/1/comm', 'w', 'EACCES'),
  ...[9, 15, 19, 31, 0].map(
    (signal): Attempt => ({
      name: `signal ${signal} for init`,
      steps: () => [['call', 'kill', 1, signal]],
      expects: refused('EPERM'),
    }),
  ),
  {
    name: 'signal 9 for init by its pidfd',
    steps: () => [['call', 'kill', 1, 9]],
    expects: refused('EPERM'),
  },
  {
    name: 'a signal with a message for init',
    steps: () => [['call', 'rt_sigqueueinfo', 1, 15, `h:0f00000000000000ffffffff${'00'.repeat(116)}`]],
    expects: refused('EPERM'),
  },
  {
    name: 'a signal for the thread of init',
    steps: () => [['call', 'tgkill', 1, 1, 15]],
    expects: refused('EPERM'),
  },
  {
    name: 'fewer open files for init',
    steps: () => [['call', 'prlimit64', 1, 7, 'h:03000000000000000300000000000000', 0]],
    expects: refused('EPERM'),
  },
];

/** struct iovec: eight bytes from 64K on. */
const SOME_MEMORY = 'h:00000100000000000800000000000000';

export const PROCESSES: readonly Attempt[] = [
  forbidden('to trace init', ['ptrace', 16, 1, 0, 0]),
  forbidden('to trace init without stopping it', ['ptrace', 0x4206, 1, 0, 0]),
  forbiddenAlone('to be traced', ['ptrace', 0, 0, 0, 0]),
  forbidden('memory of init', ['process_vm_readv', 1, SOME_MEMORY, 1, SOME_MEMORY, 1, 0]),
  forbidden('memory of init to be written', ['process_vm_writev', 1, SOME_MEMORY, 1, SOME_MEMORY, 1, 0]),
  forbidden('a descriptor of init', ['pidfd_getfd', 0, 3, 0]),
  forbidden('what init shares with it', ['kcmp', 1, 2, 0, 0, 0]),
  forbidden('advice for memory of init', ['process_madvise', 0, 'z:16', 1, 20, 0]),
  forbidden('to reap memory of another', ['process_mrelease', 0, 0]),
  forbidden('to move pages of init', ['move_pages', 1, 0, 0, 0, 0, 0]),
  forbidden('to migrate pages of init', ['migrate_pages', 1, 0, 0, 0]),
  forbidden('another priority for disks', ['ioprio_set', 1, 1, 0]),
  forbidden('the scheduling of init', ['sched_setattr', 1, 'z:48', 0]),
  ...OF_INIT,
  ofHost('to see a process of the host', (pid) => ['alive', pid], 'ESRCH'),
  ofHost('to kill a process of the host', (pid) => ['call', 'kill', pid, 9], 'ESRCH'),
  ofHost('a pidfd of a process of the host', (pid) => ['call', 'pidfd_open', pid, 0], 'ESRCH'),
  ofHost('the environment of a process of the host', (pid) => ['open', `/proc/${pid}/environ`, 'r'], 'ENOENT'),
  ofHost('memory of a process of the host', (pid) => ['open', `/proc/${pid}/mem`, 'rw'], 'ENOENT'),
  ofHost('the root of a process of the host', (pid) => ['open', `/proc/${pid}/root`, 'rd'], 'ENOENT'),
  ofNeighbour('to see a process of the neighbour', (pid) => ['alive', pid], 'ESRCH'),
  ofNeighbour('to kill a process of the neighbour', (pid) => ['call', 'kill', pid, 9], 'ESRCH'),
  ofNeighbour('the environment of the neighbour', (pid) => ['open', `/proc/${pid}/environ`, 'r'], 'ENOENT'),
  ofNeighbour('the oom score of the neighbour', (pid) => ['open', `/proc/${pid}/oom_score_adj`, 'w'], 'ENOENT'),
  ofNeighbour('the descriptors of the neighbour', (pid) => ['list', `/proc/${pid}/fd`], 'ENOENT'),
  {
    name: 'all processes there are',
    steps: () => [['list', '/proc']],
    // Init, the server, and its children.
    expects: harmless(/^(?:[A-Za-z]\S* )+1 (?:\d+ ){2,6}$/),
  },
  {
    name: 'its oom score',
    steps: () => [
      ['open', '/proc/self/oom_score_adj', 'r'],
      ['read', 32],
    ],
    expects: harmless(/^1000\\x0a$/),
  },
  {
    name: 'a lower oom score',
    steps: () => [
      ['open', '/proc/self/oom_score_adj', 'w'],
      // Below what the unit has; down to that it may go, by itself.
      ['write', '899'],
    ],
    // A PID 1 that has no such capability can give no score that lasts; test/vm looks where it has.
    expects: () => (pidOneMaySetScores() ? refused('EACCES') : harmless(/^3$/)),
  },
  {
    name: 'a higher limit of open files',
    steps: () => [['call', 'prlimit64', 0, 7, 'h:00200000000000000020000000000000', 0]],
    expects: refused('EPERM'),
  },
  {
    name: 'a higher priority',
    steps: () => [['call', 'setpriority', 0, 0, -20]],
    expects: refused('EPERM'),
  },
  {
    name: 'to be on one CPU',
    steps: () => [['call', 'sched_setaffinity', 0, 8, 'h:0100000000000000']],
    expects: refused('EPERM'),
    filterOnly: true,
  },
  {
    name: 'to be scheduled before all others',
    steps: () => [['call', 'sched_setscheduler', 0, 1, 'h:63000000']],
    expects: refused('EPERM'),
  },
  {
    name: 'a daemon that outlives its sandbox',
    steps: () => [['linger']],
    expects: harmless(/^$/),
    after: restart,
  },
];

/** What follows has a sandbox of its own; the lingering one must be gone with the old. */
async function restart(scene: Scene): Promise<void> {
  const own = await scene.own();
  readFileSync(`/proc/${own.initPid}/status`);
}
