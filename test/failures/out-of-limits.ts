import { writeFileSync } from 'node:fs';
import type { Row } from './row.ts';

const REPLACED = { outcome: 'whole', loses: 'hands', action: /start|promote/ } as const;
/** Memory is not given back for being asked: what takes all of it ends. */
const HUNGRY = 'limits: { memory: 48M, memory-high: infinity }';

/** What only a machine whose controllers hold the limits can show. */
export const OUT_OF_LIMITS: readonly Row[] = [
  {
    name: 'oom-own',
    what: 'the program takes more memory than its limit',
    noticedBy: "memory.events of its cgroup, and init's report",
    declares: [HUNGRY],
    act: 'eat',
    expect: { ...REPLACED, class: 'oom', kind: 'own-limit', evidence: /own limit 48M/, withinMs: 15_000 },
  },
  {
    name: 'oom-child',
    what: 'a child of it takes more memory than its limit, and it gives up when that is killed',
    noticedBy: "memory.events of its cgroup, and init's report: the kill was not its main process",
    declares: [HUNGRY],
    act: 'eat-in-child',
    expect: { ...REPLACED, class: 'oom', kind: 'child', evidence: /own limit 48M/, withinMs: 15_000 },
  },
  {
    name: 'crawl',
    what: 'it takes more memory than memory-high, and is slowed down until its request does not get on',
    noticedBy: 'memory.events, memory.pressure and no progress of the request, for health.spin, here 3 s',
    declares: ['limits: { memory: 256M, memory-high: 32M }', 'health: { spin: 3s }'],
    act: 'eat?n=200',
    expect: { ...REPLACED, class: 'leak', kind: 'memory-high', evidence: /memory-high/, withinMs: 30_000 },
  },
  {
    name: 'fork-bomb',
    what: 'its processes make processes, without an end',
    noticedBy: 'pids.events, three looks with many refused forks each',
    declares: ['limits: { tasks: 32, cpu: 20% }'],
    act: 'fork-bomb',
    expect: { ...REPLACED, class: 'fork-bomb', kind: 'tasks', evidence: /forks? refused/, withinMs: 30_000 },
  },
  {
    name: 'oom-host',
    what: 'memory runs out on the host, and the kernel chooses it',
    noticedBy: 'memory.events: killed, and no limit of its own was reached',
    // The largest of those that the kernel would rather kill; what has no work is not chosen for its size.
    declares: ['limits: { memory: 256M, memory-high: infinity }'],
    words: ['--at-start=eat:120'],
    provoke: () => writeFileSync('/proc/sysrq-trigger', 'f'),
    hot: true,
    expect: { ...REPLACED, class: 'oom-host', kind: undefined, evidence: /host/, withinMs: 15_000 },
  },
];

/** A disk that does not answer: what waits for it cannot even be killed. */
export const OUT_OF_REACH: readonly Row[] = [
  {
    name: 'frozen-disk',
    what: 'a request writes to a disk that does not answer',
    noticedBy: 'activity page: a request is overdue, here after 2 s; /proc: its thread waits uninterruptibly',
    declares: ['state: { path: /var/lib/plugin }', 'health: { request-timeout: 2s }'],
    act: 'write-state',
    expect: { ...REPLACED, class: 'hang', kind: 'uninterruptible', evidence: /openat|write|fsync/, withinMs: 15_000 },
  },
  {
    name: 'unkillable',
    what: 'and is killed, which the kernel does not carry out',
    noticedBy: 'cgroup.events: not empty two seconds after the kill',
    declares: [],
    expect: { ...REPLACED, class: 'unkillable', kind: undefined, evidence: /kill/, withinMs: 15_000 },
  },
];
