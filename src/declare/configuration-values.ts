import { parseBytes } from '../base/bytes.ts';
import { parseDuration } from '../base/duration.ts';
import { readCron } from './cron.ts';
import { type Reader, type Reading, readTmp } from './values.ts';

const HOUR = 3_600_000;
const LEAST_SIZE = 1024 ** 2;

const WRONG = { refused: '' };

export function readKeep(text: string): Reading<number> {
  const ms = parseDuration(text);
  return ms !== undefined && ms >= HOUR ? { value: ms } : WRONG;
}

export function readStoreSize(text: string): Reading<number> {
  const size = readTmp(text);
  if ('refused' in size) return { ...size, refused: parseBytes(text) === undefined ? '' : 'the least is 1M' };
  return size.value >= LEAST_SIZE ? size : { refused: 'the least is 1M' };
}

export function readNodeEvery(text: string): Reading<number | 'infinity'> {
  if (text === 'infinity') return { value: text };
  const ms = parseDuration(text);
  return ms !== undefined && ms >= 5000 && ms <= HOUR ? { value: ms } : WRONG;
}

/** Degrees Celsius. */
export const readTemperature = threshold(20, 150);
export const readLoad = threshold(0.1, 10_000);

/** Percent of the memory. */
export function readUsedMemory(text: string): Reading<number | 'infinity'> {
  const digits = /^(\d{1,3}(?:\.\d{1,2})?)%$/.exec(text)?.[1];
  if (digits === undefined) {
    if (text === 'infinity') return { value: text };
    return /^\d+$/.test(text) ? { ...WRONG, hint: `write '${text}%'` } : WRONG;
  }
  return Number(digits) >= 1 && Number(digits) <= 100 ? { value: Number(digits) } : WRONG;
}

function threshold(least: number, most: number): (text: string) => Reading<number | 'infinity'> {
  return (text) => {
    if (text === 'infinity') return { value: text };
    const number = /^\d{1,6}(?:\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
    return number >= least && number <= most ? { value: number } : WRONG;
  };
}

export const CONFIGURATION_READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['incidents.keep', readKeep],
  ['incidents.size', readStoreSize],
  ['incidents.clean-up', readCron],
  ['node.every', readNodeEvery],
  ['node.temperature', readTemperature],
  ['node.memory', readUsedMemory],
  ['node.load', readLoad],
  ['node.gpu-temperature', readTemperature],
]);
