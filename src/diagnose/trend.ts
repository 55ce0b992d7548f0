/** Least values of stretches of time: what a garbage collector or a pool gives back again and again does not count. */
interface Bucket {
  readonly at: number;
  readonly least: number;
}

/** How something grew, over all of a sandbox's life; the longer that is, the coarser. */
export interface Trend {
  /** Length of a bucket in milliseconds; 0: not known yet. */
  readonly everyMs: number;
  /** Closed ones, oldest first. */
  readonly buckets: readonly Bucket[];
  readonly open: Bucket | undefined;
}

export const NO_TREND: Trend = { everyMs: 0, buckets: [], open: undefined };

const MOST_BUCKETS = 64;

/** The trend with one more value. */
export function withValue(trend: Trend, at: number, value: number, heartbeatMs: number): Trend {
  const { buckets, open } = trend;
  const everyMs = trend.everyMs === 0 ? heartbeatMs : trend.everyMs;
  if (open === undefined) return { everyMs, buckets, open: { at, least: value } };
  if (at - open.at < everyMs) return { everyMs, buckets, open: { at: open.at, least: Math.min(open.least, value) } };
  const more = [...buckets, open];
  const next = { at, least: value };
  return more.length < MOST_BUCKETS
    ? { everyMs, buckets: more, open: next }
    : { everyMs: 2 * everyMs, buckets: inPairs(more), open: next };
}

export interface Growth {
  /** Time over which it was looked at, in milliseconds, and what it was at first. */
  readonly spanMs: number;
  readonly first: number;
  /** Median growth per millisecond between any two stretches of the later half (Theil-Sen), and of the earlier half. */
  readonly slope: number;
  readonly earlierSlope: number;
  /** Share of the later half's pairs between which it grew: 1 is a line that only rises. */
  readonly steadiness: number;
  /** The most by which it ever fell. */
  readonly givenBack: number;
}

/** Undefined while too little is known. */
export function growthOf({ buckets }: Trend): Growth | undefined {
  const first = buckets[0];
  const last = buckets.at(-1);
  if (first === undefined || last === undefined || buckets.length < 8) return undefined;
  const middle = Math.floor(buckets.length / 2);
  const later = slopesOf(buckets.slice(middle));
  return {
    spanMs: last.at - first.at,
    first: first.least,
    slope: medianOf(later),
    earlierSlope: medianOf(slopesOf(buckets.slice(0, middle))),
    steadiness: later.filter((slope) => slope > 0).length / later.length,
    givenBack: largestFall(buckets),
  };
}

function largestFall(buckets: readonly Bucket[]): number {
  let [peak, fall] = [0, 0];
  for (const { least } of buckets) {
    peak = Math.max(peak, least);
    fall = Math.max(fall, peak - least);
  }
  return fall;
}

function slopesOf(buckets: readonly Bucket[]): number[] {
  return buckets.flatMap((one, index) =>
    buckets.slice(index + 1).map((other) => (other.least - one.least) / (other.at - one.at)),
  );
}

function medianOf(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}

function inPairs(buckets: readonly Bucket[]): Bucket[] {
  return buckets
    .filter((_, index) => index % 2 === 0)
    .map((one, index) => ({ at: one.at, least: Math.min(one.least, buckets[2 * index + 1]?.least ?? one.least) }));
}
