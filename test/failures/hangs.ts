import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { SandboxStatus } from '../../src/control/api.ts';
import type { Row } from './row.ts';

/** A look a second; a request is overdue after two, and what spins or is stopped is let do so for three. */
const WATCHED = 'health: { heartbeat: 1s, request-timeout: 2s, spin: 3s, stopped: 3s }';
/**
 * Overdue after two seconds, and found within twice the heartbeat after that; but a supervisor that is late, because the
 * machine is busy with something else, believes nothing that it sees meanwhile. The exact times are asked for by
 * test/unit/diagnose/watch-over.test.ts, with a clock of its own.
 */
const SOON = { outcome: 'whole', loses: 'hands', action: /start|promote/, withinMs: 60_000 } as const;
/** A loop has to have come round at some looks before it is missed. */
const SETTLES_MS = 6000;

const CGROUPS = readFileSync('/proc/self/mountinfo', 'utf8')
  .split('\n')
  .find((line) => line.includes(' - cgroup2 '));
const CGROUP_ROOT = CGROUPS?.split(' ')[4] ?? '/sys/fs/cgroup';

/** The cgroup of the payload: of all of a scope, of a part of a service. */
function payloadCgroup({ cgroup, isolation }: SandboxStatus): string {
  return `${CGROUP_ROOT}${cgroup}${isolation === 'nspawn' ? '/payload' : ''}`;
}

/** Ways in which a sandbox lives and does not get on. */
export const HANGS: readonly Row[] = [
  {
    name: 'blocked-read',
    what: 'a request waits for what nobody will write',
    noticedBy:
      'activity page: a request is overdue, here after 2 s; /proc: its thread is in the same call at three looks',
    declares: [WATCHED],
    act: 'read-pipe',
    expect: { ...SOON, class: 'hang', kind: 'blocked', evidence: /read[^\n]*pipe/ },
  },
  {
    name: 'deadlock',
    what: 'two threads wait for each other',
    noticedBy: 'the same; the call is futex(2), without a time limit',
    declares: [WATCHED],
    act: 'deadlock',
    expect: { ...SOON, class: 'deadlock', kind: 'futex', evidence: /futex/ },
  },
  {
    name: 'vfork',
    what: 'a child made by vfork(2) never executes anything',
    noticedBy: 'the same; the thread waits in vfork(2)',
    declares: [WATCHED],
    act: 'vfork',
    expect: { ...SOON, class: 'hang', kind: 'vfork', evidence: /vfork/ },
  },
  {
    name: 'stopped',
    what: 'the program is stopped (SIGSTOP)',
    noticedBy: '/proc: state T, for health.stopped, here 3 s',
    declares: [WATCHED],
    act: 'stop',
    expect: { ...SOON, class: 'hang', kind: 'stopped', evidence: /stopped/ },
  },
  {
    name: 'frozen',
    what: 'somebody freezes its cgroup',
    noticedBy: 'cgroup.events, for health.stopped, here 3 s',
    declares: [WATCHED],
    provoke: (victim) => writeFileSync(`${payloadCgroup(victim)}/cgroup.freeze`, '1'),
    expect: { ...SOON, class: 'hang', kind: 'frozen', evidence: /frozen/ },
  },
  {
    name: 'lost-request',
    what: 'the main loop forgets some requests, and serves the others',
    noticedBy: 'activity page: requests are overdue, and the loop waits for other ones',
    declares: [WATCHED],
    act: 'lose?n=3',
    // A request without a deadline counts as lost after ten times the time that it may take.
    expect: { ...SOON, class: 'hang', kind: 'lost-request', evidence: /lost/, withinMs: 60_000 },
  },
  {
    name: 'silent-loop',
    what: 'the main loop stands still; the port still accepts',
    noticedBy: 'activity page: the loop, which ticks every second, missed three ticks; /proc: it sleeps',
    declares: [WATCHED],
    act: 'silent',
    settleMs: SETTLES_MS,
    expect: { ...SOON, class: 'unresponsive', kind: 'silent-loop', evidence: /loop/ },
  },
  {
    name: 'lying-health',
    what: 'the workers are dead, and health checks are answered with 200',
    noticedBy: 'activity page: a request is overdue, and the thread that had it is gone; no probe is asked',
    declares: [
      'health: { heartbeat: 1s, request-timeout: 2s, liveness: { http: /healthz, every: 1s, timeout: 1s, misses: 2 } }',
    ],
    act: 'lie',
    expect: { ...SOON, class: 'hang', kind: 'lost-request', evidence: /thread/ },
  },
  {
    name: 'unhealthy',
    what: 'the liveness probe fails',
    noticedBy: 'the liveness probe, here two misses a second apart',
    declares: ['health: { liveness: { http: /healthz, every: 1s, timeout: 1s, misses: 2 } }'],
    act: 'unhealthy',
    expect: { ...SOON, class: 'probe-failed', kind: 'liveness', evidence: /503/ },
  },
  {
    name: 'flapping',
    what: 'the readiness probe passes and fails in turn',
    noticedBy: 'the readiness probe, which changes again and again',
    declares: ['health: { readiness: { http: /ready, every: 1s, timeout: 1s, misses: 1, passes: 1 } }'],
    act: 'flap?n=2000',
    expect: {
      ...SOON,
      class: 'probe-failed',
      kind: 'readiness-flapping',
      evidence: /readiness probe/,
      withinMs: 60_000,
    },
  },
  {
    name: 'user-spin',
    what: 'a request computes for ever',
    noticedBy: 'activity page: no progress; /proc: CPU time of its thread, for health.spin, here 3 s',
    declares: [WATCHED],
    act: 'spin',
    hot: true,
    expect: { ...SOON, class: 'spin', kind: 'user', evidence: /CPU/ },
  },
  {
    name: 'kernel-spin',
    what: 'a request calls the kernel for ever',
    noticedBy: "the same; the time is the kernel's",
    declares: [WATCHED],
    act: 'kernel-spin',
    hot: true,
    expect: { ...SOON, class: 'spin', kind: 'kernel', evidence: /kernel/ },
  },
];

/** Growth is believed after sixty looks, and matters near the limit. */
const LEAKS = { class: 'leak', action: /start/, outcome: 'whole', loses: 'nothing', withinMs: 180_000 } as const;

/** What grows, and is recycled before it ends badly. */
export const LEAKING: readonly Row[] = [
  {
    name: 'file-leak',
    what: 'descriptors are opened and never closed',
    noticedBy: '/proc: descriptors, growing over sixty looks and near the limit',
    declares: [WATCHED, 'limits: { files: 300 }'],
    act: 'leak-files?n=3',
    slow: true,
    expect: { ...LEAKS, kind: 'files', evidence: /open files/ },
  },
  {
    name: 'thread-leak',
    what: 'threads are started and never end',
    noticedBy: '/proc: threads, growing over sixty looks and near the limit',
    declares: [WATCHED, 'limits: { tasks: 300 }'],
    act: 'leak-threads?n=3',
    slow: true,
    expect: { ...LEAKS, kind: 'threads', evidence: /threads/ },
  },
  {
    name: 'memory-leak',
    what: 'memory is taken and never given back',
    noticedBy: '/proc: memory of its own, growing over sixty looks and near the limit',
    declares: [WATCHED, 'limits: { memory: 96M, memory-high: infinity }'],
    act: 'leak-memory?n=1',
    slow: true,
    expect: { ...LEAKS, kind: 'memory', evidence: /limit of 96M/ },
  },
];

/** Kills the forwarder of its connections: a part of ours that the sandbox needs. */
function killForwarder({ unit }: SandboxStatus): void {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const own = pids.filter((pid) => nameOf(pid) === 'plugin-egress' && cgroupsOf(pid).includes(unit));
  if (own.length !== 1) throw new Error(`forwarders of '${unit}': ${own.join(', ')}`);
  for (const pid of own) process.kill(Number(pid), 'SIGKILL');
}

const nameOf = (pid: string) => readIfThere(`/proc/${pid}/comm`).trim();
const cgroupsOf = (pid: string) => readIfThere(`/proc/${pid}/cgroup`);

/** Empty for a process that has ended meanwhile. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** What bulkhead provides, and is gone. */
export const DEPENDENT: readonly Row[] = [
  {
    name: 'forwarder-lost',
    what: 'the forwarder of its connections ends',
    noticedBy: 'init, whose forwarder it is',
    declares: ['network: { egress: [127.0.0.1:9] }'],
    provoke: killForwarder,
    expect: { ...SOON, class: 'dependency', kind: 'forwarder', evidence: /forwarder/ },
  },
];
