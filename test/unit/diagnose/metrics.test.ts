import assert from 'node:assert/strict';
import fc from 'fast-check';
import { durationsBetween } from '../../../src/diagnose/metrics.ts';

const histogram = (all: number, ...counts: readonly (readonly [number, number])[]) => ({
  all,
  upTo: counts.map(([bound, count]) => ({ bound, count })),
});

describe('durations of a histogram', () => {
  it('are spread evenly within their buckets, and twice the last bound above all of them', () => {
    const durations = durationsBetween(undefined, histogram(4, [0.01, 2], [0.1, 3]));
    assert.deepEqual(
      durations.map((ms) => Math.round(10 * ms) / 10),
      [2.5, 7.5, 55, 150],
    );
  });

  it('are of what was counted since, as many as are of use', () => {
    const before = histogram(1000, [0.01, 900], [0.1, 1000]);
    const after = histogram(3000, [0.01, 1900], [0.1, 3000]);
    const durations = durationsBetween(before, after);
    assert.equal(durations.length, 64);
    assert.equal(durations.filter((ms) => ms < 10).length, 32);
    assert.deepEqual(durationsBetween(after, after), []);
  });

  it('are none when counts went back, and none where there are no buckets', () => {
    const before = histogram(1000, [0.01, 900], [0.1, 1000]);
    assert.deepEqual(durationsBetween(before, histogram(10, [0.01, 5], [0.1, 10])), []);
    assert.deepEqual(durationsBetween(undefined, histogram(10, [0.01, 5], [0.1, 3])), []);
    assert.deepEqual(durationsBetween(undefined, histogram(0)), []);
  });

  it('are numbers that can be, whatever is counted', () => {
    const counts = fc.array(fc.tuple(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.nat(2 ** 31 - 1)), {
      maxLength: 24,
    });
    const told = fc
      .tuple(fc.nat(2 ** 31 - 1), counts)
      .map(([all, of]) => histogram(all, ...of.sort(([a], [b]) => a - b)));
    fc.assert(
      fc.property(told, told, (before, after) => {
        const durations = durationsBetween(before, after);
        assert.ok(durations.length <= 64 && durations.every((ms) => ms >= 0));
      }),
    );
  });
});
