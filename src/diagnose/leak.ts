import { formatBytes } from '../base/bytes.ts';
import { formatDuration } from '../base/duration.ts';
import type { Course } from './course.ts';
import { type Finding, finding } from './finding.ts';
import type { SandboxLook, Terms } from './look.ts';
import { growthOf, type Trend, withValue } from './trend.ts';

/** What is reached by growing for so many heartbeats can be the warming up of a program; after that it is a leak. */
const LEAST_HEARTBEATS = 60;
/** Share of the limit from which on it matters: before that there is time, and more may be learned. */
const NEAR_LIMIT = 0.85;
const STEADY = 0.9;
/** It would be at its limit after so much of the time that it was watched. */
const SOON = 0.5;
/** Growth that has slowed down to less than this share of what it was is about to end by itself: a cache that fills. */
const GOES_ON = 0.5;
/**
 * What falls by so much of its limit is given back. When that is long ago, stretches are longer than it took, and only
 * what it never fell below counts.
 */
const GIVEN_BACK = 0.1;

/** What can leak: how much there is of it, and how much there can be. */
interface Leakable {
  readonly kind: 'memory' | 'files' | 'threads';
  readonly now: number;
  readonly limit: number | 'infinity';
  readonly words: (value: number) => string;
}

/**
 * Memory is what only the payload's processes have, and never more than what the unit is charged with: the page cache
 * goes when it has to, and what processes share is not counted for each.
 */
export function withTrends(trends: Course['trends'], look: SandboxLook, terms: Terms): Course['trends'] {
  const grown = (trend: Trend, value: number) => withValue(trend, look.at, value, terms.heartbeatMs);
  return {
    memory: grown(trends.memory, ownMemory(look)),
    files: grown(trends.files, look.descriptors),
    threads: grown(trends.threads, look.threads),
  };
}

/** Something that grows all the time, and would soon be at its limit. */
export function findLeak({ trends }: Course, look: SandboxLook, terms: Terms): Finding | undefined {
  const leakables: readonly Leakable[] = [
    { kind: 'memory', now: ownMemory(look), limit: terms.memoryBytes, words: formatBytes },
    { kind: 'files', now: look.descriptors, limit: terms.files, words: (count) => `${count} open files` },
    { kind: 'threads', now: look.threads, limit: terms.tasks, words: (count) => `${count} threads` },
  ];
  for (const leakable of leakables) {
    const found = judge(leakable, trends[leakable.kind], terms.heartbeatMs);
    if (found !== undefined) return found;
  }
  return undefined;
}

function judge({ kind, now, limit, words }: Leakable, trend: Trend, heartbeatMs: number): Finding | undefined {
  if (limit === 'infinity' || now < NEAR_LIMIT * limit) return undefined;
  const growth = growthOf(trend);
  if (growth === undefined || growth.spanMs < LEAST_HEARTBEATS * heartbeatMs) return undefined;
  if (growth.givenBack > GIVEN_BACK * limit) return undefined;
  const { slope, earlierSlope, steadiness, spanMs } = growth;
  const leftMs = (limit - now) / slope;
  if (slope <= 0 || slope < GOES_ON * earlierSlope || steadiness < STEADY || leftMs > SOON * spanMs) return undefined;
  const since = formatDuration(roundSeconds(spanMs));
  const left = formatDuration(roundSeconds(Math.max(0, leftMs)));
  const grew = `${words(growth.first)} to ${words(now)} within ${since}`;
  return finding('leak', kind, 0.9, `${grew}; at its limit of ${words(limit)} in about ${left}`, [
    ['growth', grew],
    ['steadiness', `it grew between ${Math.round(steadiness * 100)} % of all pairs of looks`],
    ['limit', words(limit)],
  ]);
}

function ownMemory({ ownBytes, memoryBytes }: SandboxLook): number {
  return Math.min(ownBytes, memoryBytes ?? ownBytes);
}

function roundSeconds(ms: number): number {
  return Math.max(1, Math.round(ms / 1000)) * 1000;
}
