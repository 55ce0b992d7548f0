import type { Surge } from './upgrade.ts';
import { duration, percentOf, type Reader, type Reading, readArgument, readLogTime, readLongTime } from './values.ts';

const DAY = 24 * 3_600_000;

const WRONG = { refused: '' };

export const readDrainTime = duration(0, DAY);

/** A share of new connections, which are counted in hundredths. */
export function readCanaryStep(text: string): Reading<number> {
  const percent = percentOf(text);
  if (percent === undefined) return /^\d+$/.test(text) ? { ...WRONG, hint: `write '${text}%'` } : WRONG;
  if (!Number.isInteger(percent)) return { refused: 'it is not whole' };
  return percent >= 1 && percent <= 100 ? { value: percent } : WRONG;
}

export function readSurge(text: string): Reading<Surge> {
  const percent = percentOf(text);
  if (percent !== undefined) return percent >= 1 && percent <= 100 ? { value: { percent } } : WRONG;
  const count = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  return count >= 1 && count <= 64 ? { value: { count } } : WRONG;
}

/** Points of percent. */
export const readBorneErrors = borne(0, 100);

/** By how many percent something may be more. */
export const readBorneGrowth = borne(1, 10_000);

function borne(least: number, most: number): (text: string) => Reading<number | 'infinity'> {
  return (text) => {
    if (text === 'infinity') return { value: text };
    const percent = percentOf(text);
    if (percent === undefined) return /^\d+$/.test(text) ? { ...WRONG, hint: `write '${text}%'` } : WRONG;
    return percent >= least && percent <= most ? { value: percent } : WRONG;
  };
}

export const UPGRADE_READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['upgrade.canary[]', readCanaryStep],
  ['upgrade.bake', readLongTime],
  ['upgrade.drain', readDrainTime],
  ['upgrade.surge', readSurge],
  ['upgrade.judge.wait-most', readLongTime],
  ['upgrade.judge.errors', readBorneErrors],
  ['upgrade.judge.latency', readBorneGrowth],
  ['upgrade.judge.memory', readBorneGrowth],
  ['upgrade.check[]', readArgument],
  ['upgrade.check-timeout', readLogTime],
]);
