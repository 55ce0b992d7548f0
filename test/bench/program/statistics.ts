/** What a series of measurements comes to; the unit is that of the values. */
export interface Summary {
  readonly n: number;
  readonly min: number;
  readonly median: number;
  /** By nearest rank: with fewer than 100 values this is the largest but for rounding, with fewer than 51 the maximum. */
  readonly p99: number;
  readonly max: number;
}

/** Throws RangeError for no values: a benchmark that measured nothing must not look like one that did. */
export function summarise(values: readonly number[]): Summary {
  if (values.length === 0) throw new RangeError('nothing was measured');
  const sorted = [...values].sort((one, other) => one - other);
  return {
    n: sorted.length,
    min: at(sorted, 0),
    median: median(sorted),
    p99: at(sorted, Math.ceil(0.99 * sorted.length) - 1),
    max: at(sorted, sorted.length - 1),
  };
}

/** The middle of the values, in whatever order they are. Throws RangeError for no values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const upper = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? at(sorted, upper) : (at(sorted, upper - 1) + at(sorted, upper)) / 2;
}

/**
 * Median of the ratios inside each round. What disturbs the machine for a whole round cancels out, which it does not in
 * a ratio of two medians. Rounds in which one of the two is missing are left out; undefined when that is all of them.
 */
export function pairedRatio(
  ours: ReadonlyMap<number, number>,
  theirs: ReadonlyMap<number, number>,
): number | undefined {
  const ratios: number[] = [];
  for (const [round, value] of ours) {
    const other = theirs.get(round);
    if (other !== undefined && other > 0) ratios.push(value / other);
  }
  return ratios.length === 0 ? undefined : median(ratios);
}

function at(sorted: readonly number[], index: number): number {
  const value = sorted[index];
  if (value === undefined) throw new RangeError('nothing was measured');
  return value;
}
