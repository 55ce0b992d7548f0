import assert from 'node:assert/strict';
import { closeSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Failure } from '../../../src/base/failure.ts';
import { pipe } from '../../../src/kernel/native.ts';
import type { SlotName } from '../../../src/plan/plan.ts';
import { Stragglers } from '../../../src/traffic/stragglers.ts';
import { prepare } from '../../native/native-programs.ts';
import { Time } from '../../support/time.ts';

describe('stragglers', () => {
  before(prepare);

  let time: Time;
  let looks: number[];
  let waiting: boolean;
  let served: boolean;
  let started: string[];
  let stopped: string[];
  let told: string[];
  let startFails: Failure | undefined;
  let stragglers: Stragglers;
  const fds: number[] = [];

  beforeEach(() => {
    time = new Time();
    [looks, started, stopped, told] = [[], [], [], []];
    [waiting, served, startFails] = [false, false, undefined];
    stragglers = new Stragglers({
      clock: time,
      lib: '/usr/lib/bulkhead',
      left: () => {
        looks.push(time.at);
        if (!waiting) return [];
        const { read, write } = pipe();
        closeSync(write);
        return [read];
      },
      isServed: () => served,
      units: {
        startTransient: async ({ name }) => {
          started.push(name);
          if (startFails !== undefined) throw startFails;
        },
        stopAndWait: async (unit) => void stopped.push(unit),
      },
      ignored: (text) => void told.push(text),
    });
  });
  afterEach(() => {
    stragglers.release();
    for (const fd of fds.splice(0)) closeSync(fd);
    assert.equal(time.waiting, 0);
  });

  /** What the launcher of the unit gets. */
  function given(unit: string | undefined): number[] {
    const all = [...(stragglers.descriptorsFor(unit ?? '')?.fds ?? [])];
    fds.push(...all);
    return all;
  }

  it('looks often for the first seconds, then each second, and no longer than a handshake can take', () => {
    stragglers.follow('p', 'a');
    time.pass(300_000);
    const gaps = looks.map((at, index) => at - (looks[index - 1] ?? 0));
    assert.deepEqual([...new Set(gaps)], [100, 1000]);
    assert.ok(looks.length > 150 && looks.length < 180, String(looks.length));
    assert.deepEqual([looks.at(-1), started], [130_000, []]);
  });

  it('waits for the end of those who may still accept, however long they take', () => {
    served = true;
    stragglers.follow('p', 'a');
    waiting = true;
    time.pass(600_000);
    assert.deepEqual(started, []);
    served = false;
    time.pass(1_000);
    assert.equal(started.length, 1);
  });

  it('has who waits answered by one unit, and counts what it says', async () => {
    stragglers.follow('p', 'a');
    time.pass(1_000);
    waiting = true;
    time.pass(10_000);
    assert.equal(started.length, 1);
    const [counts, ...listeners] = given(started[0]);
    assert.ok(counts !== undefined && listeners.length === 1);
    // Once it has them, nobody else gets them.
    assert.deepEqual([given(started[0]), stragglers.descriptorsFor('other.service')], [[], undefined]);
    writeSync(counts, '3\n');
    while (stragglers.found('p') === 0) await pause(5);
    writeSync(counts, '7\n');
    while (stragglers.found('p') === 3) await pause(5);
    assert.equal(stragglers.found('p'), 7);
    writeSync(counts, '2\nnonsense\n99999999999\n');
    await pause(20);
    assert.equal(stragglers.found('p'), 7);
  });

  it('has another one started when it died, and lets go of what nobody fetched', async () => {
    waiting = true;
    stragglers.follow('p', 'a');
    time.pass(100);
    for (const fd of given(started[0])) {
      fds.splice(fds.indexOf(fd), 1);
      closeSync(fd);
    }
    await pause(20);
    startFails = new Failure('BH506', 'no');
    time.pass(1_000);
    await pause(5);
    assert.equal(started.length, 2);
    assert.match(told[0] ?? '', /connections that slot a of 'p' left behind cannot be answered, ignoring/);
    assert.equal(stragglers.descriptorsFor(started[1] ?? ''), undefined);
  });

  it('ends when the slot is used again, and waits for the end of all when the plugin goes', async () => {
    waiting = true;
    for (const slot of ['a', 'b'] satisfies SlotName[]) stragglers.follow('p', slot);
    time.pass(100);
    assert.equal(started.length, 2);
    stragglers.leave('p', 'a');
    assert.equal(stragglers.descriptorsFor(started[0] ?? ''), undefined);
    await stragglers.end('p');
    assert.deepEqual([stopped, time.waiting], [started, 0]);
  });

  it('remembers the newest units of a plugin that changes its slot again and again', async () => {
    waiting = true;
    for (let n = 0; n < 50; n++) {
      stragglers.follow('p', n % 2 === 0 ? 'a' : 'b');
      time.pass(100);
      stragglers.leave('p', n % 2 === 0 ? 'a' : 'b');
    }
    assert.equal(started.length, 50);
    await stragglers.end('p');
    assert.deepEqual(stopped, started.slice(-16));
  });

  it('has no more than so many units at the same time', () => {
    waiting = true;
    for (let n = 0; n < 40; n++) stragglers.follow(`p${n}`, 'a');
    time.pass(10_000);
    assert.equal(started.length, 16);
    stragglers.leave('p0', 'a');
    time.pass(1_000);
    assert.equal(started.length, 17);
  });
});
