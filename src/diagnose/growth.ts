import { growthOf, type Trend } from './trend.ts';

/** What grows for less (ms) may be the warming up of a program. */
const LEAST_SPAN_MS = 20_000;
/** Share of the pairs of looks between which it grew, and of its growth at first that it still has. */
const STEADY = 0.9;
const GOES_ON = 0.5;

const MINUTE_MS = 60_000;

/**
 * By how much it grows in a minute; 0 for what does not grow all the time, or ever less. Undefined while it was not looked
 * at for long enough.
 */
export function growthPerMinute(trend: Trend): number | undefined {
  const growth = growthOf(trend);
  if (growth === undefined || growth.spanMs < LEAST_SPAN_MS) return undefined;
  const { slope, earlierSlope, steadiness } = growth;
  const goesOn = steadiness >= STEADY && slope >= GOES_ON * earlierSlope;
  return goesOn ? slope * MINUTE_MS : Math.min(0, slope * MINUTE_MS);
}
