import assert from 'node:assert/strict';
import { Sandbox } from '../../../src/sandbox/sandbox.ts';
import type { SandboxRecord } from '../../../src/sandbox/sandbox-record.ts';
import { ManualClock } from '../systemd/fake-peer.ts';

/** Of a group that does not exist: there is nothing to be killed. */
const RECORD: SandboxRecord = {
  format: 1,
  unit: 'plugin-hello-a-g1.service',
  plugin: 'hello',
  slot: 'a',
  generation: 1,
  version: 'v1',
  digest: 'd1',
  machine: 'hello-a-g1',
  uidBase: 1 << 30,
  cgroup: '/nowhere/plugin-hello-a-g1.service',
  payloadCgroup: '/nowhere/plugin-hello-a-g1.service/payload',
  seccomp: 'native',
  startTimeoutMs: 60_000,
  stopTimeoutMs: 5000,
  drainMs: 30_000,
  listeners: [],
};

describe('the time that a sandbox has to end', () => {
  let clock: ManualClock;
  let overdueAt: number[];
  const made: Sandbox[] = [];

  function sandbox(record: Partial<SandboxRecord> = {}): Sandbox {
    clock = new ManualClock();
    overdueAt = [];
    const silent = () => undefined;
    const voice = { report: silent, empty: silent, unkillable: silent, untold: silent, cleared: silent };
    const one = new Sandbox({ ...RECORD, ...record }, clock, {
      ...voice,
      overdue: () => void overdueAt.push(clock.now()),
    });
    made.push(one);
    return one;
  }

  afterEach(() => {
    for (const each of made.splice(0)) each.release();
  });

  it('is the declared one, however often it is asked', () => {
    const one = sandbox();
    one.limitStop();
    clock.advance(3000);
    one.limitStop();
    clock.advance(60_000);
    assert.deepEqual(overdueAt, [5000]);
  });

  it('is what it is given instead, which is not taken back by its own word that it ends', () => {
    const one = sandbox();
    one.limitStop(20_000);
    one.limitStop();
    clock.advance(60_000);
    assert.deepEqual(overdueAt, [20_000]);
  });

  it('may become less, and never more', () => {
    const one = sandbox();
    one.limitStop(20_000);
    clock.advance(1000);
    one.limitStop(5000);
    one.limitStop(30_000);
    clock.advance(60_000);
    assert.deepEqual(overdueAt, [6000]);
  });

  it('ends before its unit lets systemd kill it', () => {
    sandbox().limitStop(3_600_000);
    clock.advance(60_000);
    assert.deepEqual(overdueAt, [30_000]);
  });

  it('is the declared one for the record of a version that knew no other', () => {
    sandbox({ drainMs: 0 }).limitStop(20_000);
    clock.advance(60_000);
    assert.deepEqual(overdueAt, [5000]);
  });

  it('is known to the next supervisor', () => {
    const { endsWithinMs } = sandbox().noteEnd(20_000);
    assert.ok(endsWithinMs !== undefined);
    sandbox({ endsWithinMs }).limitStop();
    clock.advance(60_000);
    assert.deepEqual(overdueAt, [20_000]);
  });
});
