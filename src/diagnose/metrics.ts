/** What a program tells of itself, counted since it began. */
export interface ToldMetrics {
  readonly requests: number | undefined;
  readonly errors: number | undefined;
  readonly times: Histogram | undefined;
}

/** How many took no longer than each of ascending bounds (seconds), and how many there were. */
export interface Histogram {
  readonly all: number;
  readonly upTo: readonly { readonly bound: number; readonly count: number }[];
}

/** As many as are of use to a judgement. */
const MOST_DURATIONS = 64;
/** What is above all bounds took this many times the last one, it is believed. */
const ABOVE = 2;

interface Bucket {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/**
 * Durations (ms) such as those that were counted from one look to the next, at most 64, evenly from among them. Within a
 * bucket they are taken to be spread evenly. None when counts went back: it was begun anew.
 */
export function durationsBetween(before: Histogram | undefined, after: Histogram): readonly number[] {
  const buckets = bucketsBetween(before, after);
  const all = buckets.reduce((sum, { count }) => sum + count, 0);
  if (all <= 0 || buckets.some(({ count }) => count < 0)) return [];
  const most = Math.min(MOST_DURATIONS, all);
  return Array.from({ length: most }, (_, index) => durationAt(buckets, ((index + 0.5) / most) * all));
}

function bucketsBetween(before: Histogram | undefined, after: Histogram): readonly Bucket[] {
  const known = new Map(before?.upTo.map(({ bound, count }) => [bound, count]));
  let [from, below] = [0, 0];
  const buckets = after.upTo.map(({ bound, count }) => {
    const upTo = count - (known.get(bound) ?? 0);
    const bucket = { from, to: Math.max(0, bound), count: upTo - below };
    [from, below] = [bucket.to, upTo];
    return bucket;
  });
  const above = after.all - (before?.all ?? 0) - below;
  return [...buckets, { from, to: ABOVE * from, count: above }];
}

/** Of all, in their order, the one at this place. */
function durationAt(buckets: readonly Bucket[], place: number): number {
  let before = 0;
  for (const { from, to, count } of buckets) {
    if (place <= before + count && count > 0) return 1000 * (from + ((place - before) / count) * (to - from));
    before += count;
  }
  return 1000 * (buckets.at(-1)?.to ?? 0);
}
