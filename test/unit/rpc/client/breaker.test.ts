import assert from 'node:assert/strict';
import { Breaker } from '../../../../src/rpc/client/breaker.ts';
import { Health, type Outcome, type Trial } from '../../../../src/rpc/client/health.ts';

const SETTINGS = { strikes: 3, openMs: 1000, longestOpenMs: 3000 };
const yes = (): boolean => true;
const no = (): boolean => false;

describe('rpc client: a breaker', () => {
  it('opens at the third silence in a row', () => {
    const breaker = new Breaker(SETTINGS);
    breaker.silent(0, false);
    breaker.silent(1, false);
    breaker.answered(false);
    breaker.silent(2, false);
    assert.equal(breaker.silent(3, false), false);
    assert.equal(breaker.silent(4, false), true);
    assert.equal(breaker.admits(1003), 'none');
    assert.equal(breaker.admits(1004), 'trial');
  });

  it('opens for slowness only while somebody else is there, who then may go', () => {
    const breaker = new Breaker(SETTINGS);
    for (let call = 0; call < 5; call++) assert.equal(breaker.slow(call, false, no), false);
    assert.equal(breaker.slow(5, false, yes), true);
    assert.equal(breaker.admits(6), 'none');
    assert.equal(breaker.bearable, true);
  });

  it('is not borne with any more when slowness turns out to be silence', () => {
    const breaker = new Breaker(SETTINGS);
    for (let call = 0; call < 3; call++) breaker.slow(call, false, yes);
    for (let call = 0; call < 3; call++) breaker.silent(call, false);
    assert.equal(breaker.bearable, false);
  });

  it('is not told silent by somebody who answers late', () => {
    const breaker = new Breaker(SETTINGS);
    for (let call = 0; call < 9; call++) {
      breaker.slow(call, false, no);
      breaker.silent(call, false);
      breaker.answeredLate();
    }
    assert.equal(breaker.state, 'closed');
  });

  it('has one trial at a time, and closes when it is answered', () => {
    const breaker = new Breaker(SETTINGS);
    breaker.trip(0, false);
    breaker.tries();
    assert.equal(breaker.state, 'half-open');
    assert.equal(breaker.admits(5000), 'none');
    // An answer to somebody who was there before decides nothing.
    assert.equal(breaker.answered(false), false);
    assert.equal(breaker.answered(true), true);
    assert.equal(breaker.admits(5000), 'call');
  });

  it('stays open twice as long after each trial that failed, but no longer than agreed', () => {
    const breaker = new Breaker(SETTINGS);
    let now = 0;
    breaker.trip(now, false);
    for (const openMs of [1000, 2000, 3000, 3000]) {
      assert.equal(breaker.admits(now + openMs - 1), 'none');
      now += openMs;
      assert.equal(breaker.admits(now), 'trial');
      breaker.tries();
      breaker.silent(now, true);
    }
    now += 3000;
    breaker.tries();
    breaker.answered(true);
    breaker.trip(now, false);
    assert.equal(breaker.admits(now + 1000), 'trial');
  });

  it('lets the next one try when a trial tells nothing', () => {
    const breaker = new Breaker(SETTINGS);
    breaker.trip(0, false);
    breaker.tries();
    breaker.triedInVain(1500);
    assert.equal(breaker.admits(1500), 'trial');
  });
});

describe('rpc client: the health of a sandbox', () => {
  function make(): {
    health: Health;
    changes: string[];
    note: (outcome: Outcome, method: string, trial?: Trial) => void;
  } {
    const changes: string[] = [];
    const health = new Health(SETTINGS, (method, state) => changes.push(`${method ?? '*'} ${state}`));
    return { health, changes, note: (outcome, method, trial = 'none') => health.note(outcome, method, trial, 0, yes) };
  }

  it('is about one method when the others are answered', () => {
    const { health, changes, note } = make();
    for (let call = 0; call < 3; call++) {
      note('silent', 'bad');
      note('in-time', 'good');
    }
    assert.deepEqual(changes, ['bad open']);
    assert.deepEqual([health.admits('bad', 0), health.admits('good', 0)], [false, true]);
    assert.deepEqual(health.openMethods(), ['bad']);
    assert.equal(health.spotless, false);
  });

  it('is about all when none is answered, and one trial decides for both', () => {
    const { health, changes, note } = make();
    for (let call = 0; call < 3; call++) note('silent', 'bad');
    assert.deepEqual(changes, ['* open', 'bad open']);
    assert.equal(health.admits('good', 0), false);
    assert.equal(health.mutedAt, 0);
    assert.equal(health.begin('bad', 1000), 'both');
    assert.equal(health.admits('good', 1000), false);
    note('in-time', 'bad', 'both');
    assert.equal(health.spotless, true);
    assert.deepEqual(changes.slice(2), ['* half-open', 'bad half-open', '* closed', 'bad closed']);
  });

  it('forgets methods that are well, so that names fill no memory', () => {
    const { health, note } = make();
    for (let method = 0; method < 100; method++) {
      note('slow', `m${method}`);
      note('in-time', `m${method}`);
    }
    assert.equal(health.spotless, true);
  });
});
