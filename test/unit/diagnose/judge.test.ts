import assert from 'node:assert/strict';
import { judgeSides, type SideSignals } from '../../../src/diagnose/judge.ts';

const WELL: SideSignals = {
  sandboxes: 1,
  unready: 0,
  deaths: 0,
  ill: 0,
  restarts: 0,
  requests: 100,
  errors: 0,
  latency: { known: 100, medianMs: 5, p99Ms: 12 },
  queued: 0,
  inHand: 0,
  memoryBytes: 50 * 1024 ** 2,
  memoryPerMinute: 0,
  source: 'activity',
};
const TERMS = { samples: 50, deaths: 0 };

describe('judgeSides', () => {
  it('finds nothing wrong with sides that are alike', () => {
    const { verdict, reason } = judgeSides(WELL, WELL, TERMS, 10_000);
    assert.deepEqual([verdict, reason], ['good', undefined]);
  });

  it('blames the new side for a death, and not for one that is borne, nor for one of the old side', () => {
    const died = { ...WELL, deaths: 1 };
    const { verdict, reason } = judgeSides(WELL, died, TERMS, 1000);
    assert.equal(verdict, 'bad');
    assert.deepEqual(reason, { signal: 'deaths', text: 'deaths: 1, the old side has 0, 0 at most' });
    assert.equal(judgeSides(WELL, died, { ...TERMS, deaths: 1 }, 1000).verdict, 'good');
    assert.equal(judgeSides(died, WELL, TERMS, 1000).verdict, 'good');
  });

  it('blames the new side for a sandbox that was found ill', () => {
    assert.equal(judgeSides(WELL, { ...WELL, ill: 1 }, TERMS, 1000).reason?.signal, 'ill');
  });

  it('says how few requests it has seen', () => {
    const { verdict, reason } = judgeSides(WELL, { ...WELL, requests: 12 }, TERMS, 10_000);
    assert.equal(verdict, 'few');
    assert.deepEqual(reason, {
      signal: 'requests',
      text: 'requests: 12 of 50, the old side has 100, 50 at least',
    });
    const unknown = judgeSides(WELL, { ...WELL, requests: undefined }, TERMS, 10_000);
    assert.equal(unknown.verdict, 'few');
  });
});
