import assert from 'node:assert/strict';
import { chanceOf, quantileOf, rankDistance, shareAtMost } from '../../../src/diagnose/statistics.ts';

/** Sums of exact fractions. */
const TAILS = [
  [3, 3, 0.01, 1e-6],
  [18, 2, 0.005, 0.0036266],
  [200, 10, 0.028, 0.0564761],
  [100, 60, 0.5, 0.028444],
] as const;

describe('the statistics of a judgement', () => {
  it('know how probable so many are', () => {
    for (const [of, count, probability, expected] of TAILS) {
      const chance = chanceOf({ of, count }, probability);
      assert.ok(Math.abs(chance / expected - 1) < 1e-5, `${count} of ${of} at ${probability}: ${chance}`);
    }
    assert.equal(chanceOf({ of: 0, count: 0 }, 0.1), 1);
    assert.equal(chanceOf({ of: 10, count: 1 }, 0), 0);
    assert.equal(chanceOf({ of: 10, count: 10 }, 1), 1);
    assert.ok(chanceOf({ of: 1_000_000, count: 11_000 }, 0.01) < 1e-20);
  });

  it('sum to the whole when they begin above what is expected', () => {
    let exact = 0;
    const choose = (n: number, k: number): number => (k === 0 ? 1 : (choose(n - 1, k - 1) * n) / k);
    for (let count = 7; count <= 30; count++) exact += choose(30, count) * 0.1 ** count * 0.9 ** (30 - count);
    assert.ok(Math.abs(chanceOf({ of: 30, count: 7 }, 0.1) - exact) < 1e-6);
  });

  it('know no share better than few of it say', () => {
    assert.equal(shareAtMost({ of: 0, count: 0 }, 1.64), 1);
    assert.ok(Math.abs(shareAtMost({ of: 50, count: 0 }, 1.64) - 0.051) < 0.001);
    assert.ok(shareAtMost({ of: 5000, count: 0 }, 1.64) < 0.001);
  });

  it('measure how much greater some are by their order alone', () => {
    assert.equal(rankDistance([], [1]), 0);
    assert.equal(rankDistance([1, 1, 1], [1, 1, 1]), 0);
    // U = 9 of 9, sigma = sqrt(9 * 7 / 12).
    assert.ok(Math.abs(rankDistance([4, 5, 6], [1, 2, 3]) - 4.5 / Math.sqrt(5.25)) < 1e-9);
    assert.equal(rankDistance([4, 5, 1e300], [1, 2, 3]), rankDistance([4, 5, 6], [1, 2, 3]));
    // Ties: {1, 2, 2} and {2, 3, 3}: U = 1, variance = 9 / 12 * (7 - (24 + 6) / 30).
    assert.ok(Math.abs(rankDistance([2, 3, 3], [1, 2, 2]) - 3.5 / Math.sqrt(4.5)) < 1e-9);
    assert.ok(Math.abs(rankDistance([1, 2, 2], [2, 3, 3]) + 3.5 / Math.sqrt(4.5)) < 1e-9);
  });

  it('take quantiles from what is there', () => {
    assert.deepEqual([quantileOf([], 0.5), quantileOf([3, 1, 2], 0.5), quantileOf([1, 2], 1)], [0, 2, 2]);
  });
});
