import type { IoLimit, Isolation } from '../declare/declaration.ts';
import type { HelperNeeds } from '../plan/network.ts';
import type { PlannedLimits } from '../plan/plan.ts';
import type { DiskRate } from './encoding.ts';
import type { Settings } from './properties.ts';

/**
 * What is in the unit beside the payload. A declared limit is what the payload gets, so the unit gets this on top.
 * Tasks: init, and its thread that waits for forbidden calls; with nspawn, nspawn, too (while it starts, its helper
 * takes the payload's place). Memory: nspawn's own pages are 1.1 MB, init's less than 0.2 MB; the rest is for page
 * tables, mounts and socket buffers.
 */
export const OVERHEAD = {
  nspawn: { tasks: 3, memory: 4 * 1024 ** 2 },
  scope: { tasks: 2, memory: 1024 ** 2 },
} as const satisfies Record<Isolation, { readonly tasks: number; readonly memory: number }>;

/** Sandboxes per declared one that a plugin's slice has room for: a new version starts beside the old one. */
const UPGRADE_ROOM = 2;

/** The limits of a sandbox's unit. */
export function unitLimits(limits: PlannedLimits, isolation: Isolation, helpers: HelperNeeds): PlannedLimits {
  const { tasks, memory } = OVERHEAD[isolation];
  return {
    ...limits,
    memoryMax: plus(limits.memoryMax, memory + helpers.memory),
    memoryHigh: plus(limits.memoryHigh, memory + helpers.memory),
    tasksMax: plus(limits.tasksMax, tasks + helpers.tasks),
  };
}

/** Limits of groups of processes as settings of a unit or slice, by plan field. */
export function limitSettings(limits: PlannedLimits): Settings {
  return {
    memoryMax: limits.memoryMax,
    memoryHigh: limits.memoryHigh,
    swapMax: limits.swapMax,
    cpuQuota: limits.cpuQuotaPerSecUsec,
    cpuWeight: limits.cpuWeight,
    tasksMax: limits.tasksMax,
    ioWeight: limits.ioWeight,
    ioRead: diskRates(limits.io, 'read'),
    ioWrite: diskRates(limits.io, 'write'),
    ioReadIops: diskRates(limits.io, 'readIops'),
    ioWriteIops: diskRates(limits.io, 'writeIops'),
  };
}

function diskRates(io: readonly IoLimit[], kind: Exclude<keyof IoLimit, 'path'>): DiskRate[] {
  return io.flatMap(({ path, [kind]: rate }) => (rate === 'infinity' ? [] : [{ path, rate }]));
}

/**
 * The limits of a plugin's slice: those of its units, twice so many as there are to be, standbys included. The slice has no memory.high of its own:
 * it would slow all sandboxes down for one that is greedy.
 */
export function sliceLimits(
  limits: PlannedLimits,
  size: number,
  isolation: Isolation,
  helpers: HelperNeeds,
): PlannedLimits {
  const unit = unitLimits(limits, isolation, helpers);
  const count = size * UPGRADE_ROOM;
  return {
    ...unit,
    memoryMax: times(unit.memoryMax, count),
    memoryHigh: 'infinity',
    swapMax: times(unit.swapMax, count),
    cpuQuotaPerSecUsec: times(unit.cpuQuotaPerSecUsec, count),
    tasksMax: times(unit.tasksMax, count),
    io: unit.io.map(({ path, read, write, readIops, writeIops }) => ({
      path,
      read: times(read, count),
      write: times(write, count),
      readIops: times(readIops, count),
      writeIops: times(writeIops, count),
    })),
  };
}

/** What has room for either of both: the plans of an upgrade's sides. */
export function roomierLimits(one: PlannedLimits, other: PlannedLimits): PlannedLimits {
  const rates = one.io.flatMap((rate) => {
    const alike = other.io.find(({ path }) => path === rate.path);
    if (alike === undefined) return [];
    const { path, read, write, readIops, writeIops } = alike;
    return [
      {
        path,
        read: larger(rate.read, read),
        write: larger(rate.write, write),
        readIops: larger(rate.readIops, readIops),
        writeIops: larger(rate.writeIops, writeIops),
      },
    ];
  });
  return {
    ...one,
    memoryMax: larger(one.memoryMax, other.memoryMax),
    swapMax: larger(one.swapMax, other.swapMax),
    cpuQuotaPerSecUsec: larger(one.cpuQuotaPerSecUsec, other.cpuQuotaPerSecUsec),
    tasksMax: larger(one.tasksMax, other.tasksMax),
    // What only one of them names is no limit of both.
    io: rates,
  };
}

function larger(one: number | 'infinity', other: number | 'infinity'): number | 'infinity' {
  return one === 'infinity' || other === 'infinity' ? 'infinity' : Math.max(one, other);
}

function plus(value: number | 'infinity', more: number): number | 'infinity' {
  return value === 'infinity' ? value : value + more;
}

function times(value: number | 'infinity', count: number): number | 'infinity' {
  return value === 'infinity' ? value : value * count;
}
