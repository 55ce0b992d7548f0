import assert from 'node:assert/strict';
import { type Death, diagnoseDeath } from '../../../src/diagnose/death.ts';
import { examplePlan } from '../../support/plans.ts';

const NOW = 1_000_000;

function death(change: Partial<Death>): Death {
  return {
    exit: undefined,
    reason: undefined,
    outOfMemory: undefined,
    reached: [],
    startup: undefined,
    readyAt: NOW - 5000,
    plan: examplePlan({ limits: { memoryMax: 64 << 20 } }),
    now: NOW,
    ...change,
  };
}

const killed = { how: 'killed', status: 9 } as const;
const ran = (whose: 'sandbox' | 'plugin' | 'plugins' | 'host', ago = 100) => ({ whose, at: NOW - ago });

const forks = (count: number, ago: number) => [{ limit: 'tasks', count, text: 'tasks 50', at: NOW - ago }];

const ROWS: readonly [what: string, change: Partial<Death>, found: string][] = [
  ['exit 0', { exit: { how: 'exited', status: 0 } }, 'exit/status-0'],
  ['exit 3', { exit: { how: 'exited', status: 3 } }, 'exit/status-3'],
  ['a segmentation fault', { exit: { how: 'dumped', status: 11 } }, 'crash/SIGSEGV'],
  ['abort', { exit: { how: 'dumped', status: 6 } }, 'crash/SIGABRT'],
  ['kill -9', { exit: killed }, 'crash/SIGKILL'],
  ['an end without a report', { exit: { how: 'unknown', status: 0 } }, 'crash/no-report'],
  ['its own memory', { exit: killed, outOfMemory: ran('sandbox') }, 'oom/own-limit'],
  [
    'all of it killed for memory',
    { exit: { how: 'unknown', status: 0 }, outOfMemory: ran('sandbox') },
    'oom/own-limit',
  ],
  ['the slice, out of memory', { exit: killed, outOfMemory: ran('plugin') }, 'oom/slice'],
  ['plugin.slice, out of memory', { exit: killed, outOfMemory: ran('plugins') }, 'oom/slice'],
  ['the host, out of memory', { exit: killed, outOfMemory: ran('host') }, 'oom-host/undefined'],
  ['a child killed for memory', { exit: { how: 'exited', status: 1 }, outOfMemory: ran('sandbox') }, 'oom/child'],
  ['kill -9 long after memory ran out', { exit: killed, outOfMemory: ran('sandbox', 60_000) }, 'crash/SIGKILL'],
  ['a crash beside it', { exit: { how: 'dumped', status: 11 }, outOfMemory: ran('sandbox') }, 'crash/SIGSEGV'],
  ['ptrace', { exit: { ...killed, forbidden: { call: 'ptrace', pid: 2, tid: 5 } } }, 'forbidden-syscall/ptrace'],
  ['execve', { exit: { ...killed, forbidden: { call: 'execve', pid: 2, tid: 5 } } }, 'forbidden-exec/execve'],
  ['a lost forwarder', { exit: { ...killed, lostHelper: 'egress' } }, 'dependency/forwarder'],
  ['a lost adapter', { exit: { ...killed, lostHelper: 'adapter' } }, 'dependency/adapter'],
  ['a lost prober', { exit: { ...killed, lostHelper: 'prober' } }, 'dependency/prober'],
  ['a startup probe that failed', { reason: { code: 'BH315', text: 'x' } }, 'not-ready/startup-probe'],
  ['a fork bomb', { exit: { how: 'exited', status: 1 }, reached: forks(181, 900) }, 'fork-bomb/tasks'],
  ['a fork that was refused', { exit: { how: 'exited', status: 1 }, reached: forks(3, 900) }, 'exit/status-1'],
  ['a fork bomb of long ago', { exit: { how: 'exited', status: 1 }, reached: forks(181, 90_000) }, 'exit/status-1'],
  ['a start that took too long', { reason: { code: 'BH303', text: 'x' } }, 'not-ready/start-timeout'],
  ['a program that cannot be executed', { reason: { code: 'BH305', text: 'x' } }, 'start-failed/exec'],
  ['a set-up that failed', { reason: { code: 'BH302', text: 'x' } }, 'start-failed/set-up'],
  ['an image that is gone', { reason: { code: 'BH311', text: 'x' } }, 'dependency/image'],
  ['a start that systemd refused', { reason: { code: 'BH504', text: 'x' } }, 'start-failed/undefined'],
];

describe('diagnoseDeath', () => {
  for (const [what, change, expected] of ROWS) {
    it(`tells ${what}`, () => {
      const verdict = diagnoseDeath(death(change));
      assert.equal(`${verdict.class}/${verdict.kind}`, expected);
      assert.ok(verdict.text !== '' && verdict.confidence > 0 && verdict.confidence <= 1);
    });
  }

  it('says what it rests on', () => {
    const { evidence } = diagnoseDeath(
      death({
        exit: { ...killed, forbidden: { call: 'ptrace', pid: 2, tid: 5 }, childrenLeft: true },
        reached: [
          { limit: 'tasks', count: 3, text: 'tasks 50 (3 forks refused)', at: NOW - 1000 },
          { limit: 'memory', count: 1, text: 'memory 64M (reached once)', at: NOW - 3_600_000 },
        ],
      }),
    );
    assert.deepEqual(
      evidence.map(({ what, value }) => `${what}: ${value}`),
      [
        "exit report: forbidden system call 'ptrace' (134)",
        'system call: ptrace, by process 2, thread 5 of the sandbox',
        'ready: for 5s',
        'left behind: processes that outlived the main process',
        'limit reached: tasks 50 (3 forks refused)',
      ],
    );
    const late = diagnoseDeath(
      death({ reason: { code: 'BH303', text: 'x' }, readyAt: undefined, startup: `no answer${'!'.repeat(300)}` }),
    );
    assert.deepEqual(
      late.evidence.map(({ what, value }) => [what, value.length]),
      [
        ['start', 7],
        ['ready', 5],
        ['startup probe', 200],
      ],
    );
  });
});
