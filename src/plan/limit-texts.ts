import { formatBytes } from '../base/bytes.ts';
import { formatDuration } from '../base/duration.ts';
import { LIVE_LIMITS } from './live-limits.ts';
import type { PlannedLimits } from './plan.ts';

type Name = keyof PlannedLimits;

/** Keys of the declaration behind the planned limits, and how people write their values. */
const KEYS: { readonly [Key in Name]: readonly [key: string, text: (value: PlannedLimits[Key]) => string] } = {
  memoryMax: ['limits.memory', bytes],
  memoryHigh: ['limits.memory-high', bytes],
  swapMax: ['limits.swap', bytes],
  cpuQuotaPerSecUsec: ['limits.cpu', (usec) => (usec === 'infinity' ? 'infinity' : `${usec / 10_000}%`)],
  cpuWeight: ['limits.cpu-weight', String],
  tasksMax: ['limits.tasks', String],
  ioWeight: ['limits.io-weight', String],
  io: ['limits.io', (io) => (io.length === 0 ? 'none' : io.map(diskText).join(', '))],
  files: ['limits.files', String],
  memoryLock: ['limits.memory-lock', bytes],
  core: ['limits.core', bytes],
  log: ['limits.log', ({ messages, withinMs }) => `${messages} in ${formatDuration(withinMs)}`],
};

/** What of one declared limit people read: its key, and its value as they would write it. */
export function limitText<Key extends Name>(name: Key, limits: PlannedLimits): { key: string; text: string } {
  const [key, text] = KEYS[name];
  return { key, text: text(limits[name]) };
}

/** Whether the limit behind a key of the declaration can be set on what runs. */
export function isLiveKey(key: string): boolean {
  return LIVE_LIMITS.some((name) => KEYS[name][0] === key);
}

function bytes(value: number | 'infinity'): string {
  return value === 'infinity' ? 'infinity' : value === 0 ? '0' : formatBytes(value);
}

function diskText({ path, read, write, readIops, writeIops }: PlannedLimits['io'][number]): string {
  const rates = [
    ['read', read === 'infinity' ? '' : formatBytes(read)],
    ['write', write === 'infinity' ? '' : formatBytes(write)],
    ['read-iops', readIops === 'infinity' ? '' : String(readIops)],
    ['write-iops', writeIops === 'infinity' ? '' : String(writeIops)],
  ];
  const given = rates.filter(([, rate]) => rate !== '').map(([name, rate]) => `${name} ${rate}`);
  return `${path} ${given.join(' ')}`;
}
