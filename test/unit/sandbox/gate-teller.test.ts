import assert from 'node:assert/strict';
import { Failure } from '../../../src/base/failure.ts';
import type { Gate } from '../../../src/plan/plan.ts';
import { GateTeller } from '../../../src/sandbox/gate-teller.ts';
import { ManualClock } from '../systemd/fake-peer.ts';

describe('telling a gate', () => {
  let clock: ManualClock;
  let told: Gate[];
  let teller: GateTeller;
  beforeEach(() => {
    clock = new ManualClock();
    told = [];
    teller = new GateTeller(
      clock,
      (gate) => told.push(gate),
      (failure) => assert.fail(failure.message),
    );
  });

  it('goes on until init answers so, with growing pauses', () => {
    teller.tell('open');
    clock.advance(250 + 500 + 1000);
    assert.deepEqual(told, ['open', 'open', 'open', 'open']);
    teller.answered('open');
    clock.advance(1_000_000);
    assert.equal(told.length, 4);
    assert.equal(clock.waiting, 0);
  });

  it('is not ended by an answer to what was told before', () => {
    teller.tell('open');
    teller.tell('shut');
    teller.answered('open');
    clock.advance(250);
    assert.deepEqual(told, ['open', 'shut', 'shut']);
    teller.answered('shut');
    assert.equal(clock.waiting, 0);
  });

  it('asks at least every half minute, for as long as it takes, and not after its release', () => {
    teller.tell('held');
    clock.advance(3_600_000);
    const { length } = told;
    assert.ok(length > 120 && length < 140, String(length));
    teller.release();
    clock.advance(3_600_000);
    assert.equal(told.length, length);
  });

  it('goes on when init cannot be told', () => {
    const failures: string[] = [];
    let works = false;
    const failing = new GateTeller(
      clock,
      (gate) => {
        if (!works) throw new Failure('BH601', 'pidfd_send_signal: EAGAIN');
        told.push(gate);
      },
      ({ code }) => failures.push(code),
    );
    failing.tell('open');
    works = true;
    clock.advance(250);
    assert.deepEqual([failures, told], [['BH601'], ['open']]);
  });
});
