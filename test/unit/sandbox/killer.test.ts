import assert from 'node:assert/strict';
import { Killer } from '../../../src/sandbox/killer.ts';
import { ManualClock } from '../systemd/fake-peer.ts';

describe('killing a payload', () => {
  let clock: ManualClock;
  let kills: number;
  let populated: boolean;
  let told: number[];
  let killer: Killer;
  beforeEach(() => {
    clock = new ManualClock();
    [kills, populated, told] = [0, true, []];
    const group = { kill: () => void kills++, isPopulated: () => populated };
    killer = new Killer(clock, group, () => told.push(clock.now()));
  });

  it('tells nothing of one that ends within two seconds', () => {
    assert.equal(killer.killed, false);
    killer.kill();
    assert.equal(killer.killed, true);
    clock.advance(1999);
    populated = false;
    clock.advance(60_000);
    assert.deepEqual([kills, told, clock.waiting], [1, [], 0]);
  });

  it('tells of one that does not end, again and again until it does', () => {
    killer.kill();
    clock.advance(25_000);
    assert.deepEqual(told, [2000, 12_000, 22_000]);
    populated = false;
    clock.advance(60_000);
    assert.deepEqual([told.length, clock.waiting], [3, 0]);
  });

  it('kills as often as it is asked, and looks once for all of that', () => {
    killer.kill();
    clock.advance(1000);
    killer.kill();
    clock.advance(1500);
    assert.deepEqual([kills, told], [2, [2000]]);
  });

  it('looks again when it kills after it has found nothing', () => {
    killer.kill();
    populated = false;
    clock.advance(2000);
    populated = true;
    killer.kill();
    clock.advance(2000);
    assert.deepEqual(told, [4000]);
  });

  it('tells nothing after its release', () => {
    killer.kill();
    killer.release();
    clock.advance(60_000);
    assert.deepEqual(told, []);
  });
});
