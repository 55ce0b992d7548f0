import assert from 'node:assert/strict';
import { lostBetween, withLost } from '../../../src/diagnose/lost-time.ts';
import { parseCall } from '../../../src/diagnose/system-calls.ts';
import { fieldOf, innerId, parsePressure, parseSchedstat, parseStat } from '../../../src/diagnose/task-text.ts';

/** As Linux 6.18 writes it. */
const STAT =
  '4711 (main (a) R b) D 4699 4711 4711 0 -1 4194304 812 0 17 0 123 45 0 0 20 0 5 0 99 1024 77 18446744073709551615 1 1';

describe('/proc/PID/stat', () => {
  it('is read behind the name, whatever that is', () => {
    assert.deepEqual(parseStat(STAT), {
      state: 'D',
      parent: 4699,
      majorFaults: 17,
      userMs: 1230,
      systemMs: 450,
      threads: 5,
    });
  });

  it('is not read when it is cut off, or something else', () => {
    for (const text of ['', '4711 (main', '4711 (main) S 1 2', ') S', STAT.replace(' D ', ' DD ')])
      assert.equal(parseStat(text), undefined, text);
  });
});

describe('the other texts of the kernel', () => {
  it('tell how long a thread ran and waited, and how often', () => {
    assert.deepEqual(parseSchedstat('1500000 2500000 7\n'), { runMs: 1.5, waitMs: 2.5, turns: 7 });
    for (const text of ['', '1 2', '1 x 3']) assert.equal(parseSchedstat(text), undefined);
  });

  it('tell the id inside', () => {
    assert.equal(innerId('Name:\tx\nNSpid:\t4711\t2\nVmRSS:\t1 kB\n'), 2);
    assert.equal(innerId('Name:\tNSpid:\n'), undefined);
  });

  it('tell a number by its name', () => {
    const text = 'low 0\noom 3\noom_kill 2\nusage_usec 77\n';
    for (const [name, value] of [
      ['low', 0],
      ['oom', 3],
      ['oom_kill', 2],
      ['usage_usec', 77],
    ] as const)
      assert.equal(fieldOf(text, name), value);
    for (const name of ['usec', 'kill', 'oom_', 'max', '']) assert.equal(fieldOf(text, name), undefined, name);
    assert.equal(fieldOf('max x\n', 'max'), undefined);
    assert.equal(fieldOf('max 5', 'max'), 5);
    assert.equal(fieldOf(undefined, 'max'), undefined);
  });

  it('tell of pressure, with and without a line for all', () => {
    const some = 'some avg10=0.00 avg60=0.00 avg300=0.00 total=1234';
    const full = 'full avg10=0.00 avg60=0.00 avg300=0.00 total=99';
    assert.deepEqual(parsePressure(`${some}\n${full}\n`), { someUs: 1234, fullUs: 99 });
    assert.deepEqual(parsePressure(`${some}\n`), { someUs: 1234, fullUs: 0 });
    assert.equal(parsePressure(''), undefined);
  });
});

describe('/proc/PID/syscall', () => {
  const kinds: readonly (readonly [text: string, machine: string, name: string, kind: string])[] = [
    ['0 0x3 0x7ffd 0x1 0x0 0x0 0x0 0x7ffd 0x7f21', 'x64', 'read', 'other'],
    ['232 0xd 0x7ffc 0x400 0xffffffff 0x0 0x0 0x7ffb 0x7f33', 'x64', 'epoll_wait', 'idle'],
    ['219 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffb 0x7f33', 'x64', 'restart_syscall', 'idle'],
    ['202 0x55d0 0x80 0x2 0x0 0x0 0x0 0x7ffc 0x7f11', 'x64', 'futex', 'futex'],
    ['202 0x55d0 0x189 0x2 0x0 0x0 0xffffffff 0x7ffc 0x7f11', 'x64', 'futex', 'futex'],
    ['202 0x55d0 0x80 0x2 0x7ffe 0x0 0x0 0x7ffc 0x7f11', 'x64', 'futex', 'idle'],
    ['202 0x55d0 0x81 0x1 0x0 0x0 0x0 0x7ffc 0x7f11', 'x64', 'futex', 'other'],
    ['58 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffc 0x7f11', 'x64', 'vfork', 'vfork'],
    ['999 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffc 0x7f11', 'x64', 'system call 999', 'other'],
    ['63 0x3 0x7ffd 0x1 0x0 0x0 0x0 0x7ffd 0x7f21', 'arm64', 'read', 'other'],
    ['22 0xd 0x7ffc 0x400 0xffffffff 0x0 0x8 0x7ffb 0x7f33', 'arm64', 'epoll_pwait', 'idle'],
    ['98 0x55d0 0x80 0x2 0x0 0x0 0x0 0x7ffc 0x7f11', 'arm64', 'futex', 'futex'],
  ];
  for (const [text, machine, name, kind] of kinds) {
    it(`'${text.slice(0, 16)}...' on ${machine} is ${name}, ${kind}`, () => {
      const call = parseCall(`${text}\n`, machine);
      assert.equal(call?.name, name);
      assert.equal(call.kind, kind);
    });
  }

  it('names the descriptor that it is about', () => {
    assert.equal(parseCall('0 0x3 0x7ffd 0x1 0x0 0x0 0x0 0x7ffd 0x7f21', 'x64')?.descriptor, 3);
    assert.equal(parseCall('202 0x3 0x80 0x2 0x0 0x0 0x0 0x7ffc 0x7f11', 'x64')?.descriptor, undefined);
  });

  it('is none of a thread that runs, or that is not in a call', () => {
    for (const text of ['running\n', '-1 0x7ffc 0x7f11\n', '', 'x 1 2 3 4 5 6 7 8'])
      assert.equal(parseCall(text, 'x64'), undefined);
  });
});

describe('lost time', () => {
  it('is counted once where it overlaps, and only within what is asked for', () => {
    const lost = withLost(withLost(withLost([], 100, 200), 150, 300), 500, 600);
    assert.equal(lostBetween(lost, 0, 1000), 300);
    assert.equal(lostBetween(lost, 250, 550), 100);
    assert.equal(lostBetween(lost, 700, 800), 0);
  });

  it('is kept of the newest stretches, and none of what is no time', () => {
    let lost = withLost([], 5, 5);
    assert.deepEqual(lost, []);
    for (let n = 0; n < 1000; n++) lost = withLost(lost, 10 * n, 10 * n + 1);
    assert.equal(lost.length, 64);
    assert.equal(lostBetween(lost, 9990, 10_000), 1);
  });
});
