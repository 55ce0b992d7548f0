/** So many of so many. */
export interface Count {
  readonly of: number;
  readonly count: number;
}

/**
 * What the true share is at most, with few of them known, too (Wilson's score interval).
 * @param z how certain, in standard deviations of a normal distribution
 */
export function shareAtMost({ of, count }: Count, z: number): number {
  if (of === 0) return 1;
  const share = count / of;
  const half = z * Math.sqrt((share * (1 - share)) / of + z ** 2 / (4 * of ** 2));
  return Math.min(1, (share + z ** 2 / (2 * of) + half) / (1 + z ** 2 / of));
}

/** How probable so many or more are, when each is one with this probability: the exact tail of a binomial distribution. */
export function chanceOf({ of, count }: Count, probability: number): number {
  if (count <= of * probability || probability >= 1) return 1;
  if (probability <= 0) return 0;
  const odds = probability / (1 - probability);
  let term = Math.exp(
    logFactorial(of) -
      logFactorial(count) -
      logFactorial(of - count) +
      count * Math.log(probability) +
      (of - count) * Math.log1p(-probability),
  );
  let sum = term;
  // Each is smaller than the one before, since there are more than could be expected.
  for (let next = count + 1; next <= of && term > sum * 1e-12; next++) {
    term *= ((of - next + 1) / next) * odds;
    sum += term;
  }
  return Math.min(1, sum);
}

/**
 * How much greater the ones are than the others, in standard deviations of what chance would do (Mann-Whitney). It looks
 * at nothing but their order: a single one that is absurd counts like any other that is greater, and no shape is assumed.
 */
export function rankDistance(ones: readonly number[], others: readonly number[]): number {
  const [n, m] = [ones.length, others.length];
  if (n === 0 || m === 0) return 0;
  const [left, right] = [Float64Array.from(ones).sort(), Float64Array.from(others).sort()];
  let [above, ties, at, to] = [0, 0, 0, 0];
  while (at < n) {
    const value = left[at] as number;
    const [from, first] = [at, to];
    while (at < n && left[at] === value) at += 1;
    while (to < m && (right[to] as number) < value) to += 1;
    const smaller = to;
    while (to < m && right[to] === value) to += 1;
    above += (at - from) * (smaller + (to - smaller) / 2);
    ties += tiesOf(right, first, smaller) + cubed(at - from + to - smaller);
  }
  ties += tiesOf(right, to, m);
  const all = n + m;
  const deviation = Math.sqrt(((n * m) / 12) * (all + 1 - ties / (all * (all - 1))));
  return deviation === 0 ? 0 : (above - (n * m) / 2) / deviation;
}

/** The value that this share of them does not exceed; 0 for none. */
export function quantileOf(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

/** What those that are equal, within a part of what is sorted, take off the variance. */
function tiesOf(sorted: Float64Array, from: number, to: number): number {
  let ties = 0;
  for (let at = from; at < to; ) {
    const first = at;
    while (at < to && sorted[at] === sorted[first]) at += 1;
    ties += cubed(at - first);
  }
  return ties;
}

function cubed(equal: number): number {
  return equal ** 3 - equal;
}

/** 0! to 10!, where Stirling's series is not exact enough. */
const FACTORIALS = [1, 1, 2, 6, 24, 120, 720, 5040, 40_320, 362_880, 3_628_800];

/** Natural logarithm of n!. */
function logFactorial(n: number): number {
  const exact = FACTORIALS[n];
  if (exact !== undefined) return Math.log(exact);
  return n * Math.log(n) - n + Math.log(2 * Math.PI * n) / 2 + 1 / (12 * n) - 1 / (360 * n ** 3);
}
