import type { Row } from './row.ts';

const AT_ONCE = { outcome: 'whole', loses: 'hands', withinMs: 60_000 } as const;
const REPLACED = /start|promote/;
const GIVEN_UP = { outcome: 'quarantined', loses: 'nothing', action: /./, withinMs: 60_000 } as const;
/** The first failure and one more. */
const TWICE = 'recovery: { budget: { restarts: 1, within: 60s }, backoff: { initial: 50ms } }';

/** Ways in which a sandbox ends by itself, or never gets there. */
export const DEATHS: readonly Row[] = [
  {
    name: 'exit-0',
    what: 'the program ends, with status 0',
    noticedBy: "init's report of the end",
    declares: [],
    act: 'exit',
    expect: { ...AT_ONCE, class: 'exit', kind: 'status-0', evidence: /exit status 0/, action: REPLACED },
  },
  {
    name: 'exit-3',
    what: 'the program ends, with another status',
    noticedBy: "init's report of the end",
    declares: [],
    act: 'exit?n=3',
    expect: { ...AT_ONCE, class: 'exit', kind: 'status-3', evidence: /exit status 3/, action: REPLACED },
  },
  {
    name: 'segv',
    what: 'the program reads where nothing is',
    noticedBy: "init's report of the end",
    declares: [],
    act: 'segv',
    expect: { ...AT_ONCE, class: 'crash', kind: 'SIGSEGV', evidence: /SIGSEGV/, action: REPLACED },
  },
  {
    name: 'abrt',
    what: 'the program aborts',
    noticedBy: "init's report of the end",
    declares: [],
    act: 'abrt',
    expect: { ...AT_ONCE, class: 'crash', kind: 'SIGABRT', evidence: /SIGABRT/, action: REPLACED },
  },
  {
    name: 'killed',
    what: 'somebody kills it with -9',
    noticedBy: "init's report of the end",
    declares: [],
    provoke: ({ payloadPid }) => process.kill(payloadPid ?? 0, 'SIGKILL'),
    expect: { ...AT_ONCE, class: 'crash', kind: 'SIGKILL', evidence: /SIGKILL/, action: REPLACED },
  },
  {
    name: 'leave-child',
    what: 'the main process ends, a child of it goes on',
    noticedBy: "init's report of the end, and of who was left",
    declares: [],
    act: 'leave-child',
    expect: {
      ...AT_ONCE,
      class: 'exit',
      kind: 'status-3',
      evidence: /left behind/,
      action: REPLACED,
    },
  },
  {
    name: 'forbidden-call',
    what: 'a system call that the filter does not allow',
    noticedBy: 'init, which the filter asks before the call is carried out',
    declares: [],
    act: 'forbidden-call',
    expect: { ...AT_ONCE, class: 'forbidden-syscall', kind: 'ptrace', evidence: /ptrace/, action: REPLACED },
  },
  {
    name: 'forbidden-exec',
    what: 'another program is executed, a shell',
    noticedBy: 'init, which the filter asks before the call is carried out',
    declares: ['programs: own'],
    act: 'forbidden-exec',
    expect: { ...AT_ONCE, class: 'forbidden-exec', kind: 'execve', evidence: /execve/, action: REPLACED },
  },
  {
    name: 'start-failed',
    what: 'the program cannot be executed',
    noticedBy: "init's report of the step that failed",
    declares: [TWICE],
    // It is there and executable, which is all that a plan looks at; what it is, the kernel sees.
    spoilt: true,
    expect: { ...GIVEN_UP, class: 'start-failed', kind: 'exec', evidence: /exec/i },
  },
  {
    name: 'never-ready',
    what: 'the start never becomes ready',
    noticedBy: 'health.start-timeout, here 1 s',
    declares: ['health: { ready: notify, start-timeout: 1s }', TWICE],
    words: ['--never-ready'],
    expect: { ...GIVEN_UP, class: 'not-ready', kind: 'start-timeout', evidence: /not ready within 1s/ },
  },
  {
    name: 'crash-loop',
    what: 'it ends soon after each start',
    noticedBy: "init's report of each end; given up with the restart budget",
    declares: ['recovery: { budget: { restarts: 3, within: 60s }, backoff: { initial: 50ms } }'],
    words: ['--at-start=exit:4'],
    expect: { ...GIVEN_UP, class: 'exit', kind: 'status-4', evidence: /exit status 4/ },
  },
];
