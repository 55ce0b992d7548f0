import type { PlannedLimits } from '../plan/plan.ts';

export interface LimitRow {
  readonly name: string;
  /** Its property of the unit (org.freedesktop.systemd1(5)), and the path when that is a list by disk. */
  readonly property: string;
  readonly path?: string;
  /** 'infinity', or what the kernel does without being asked, means that nothing is asked for. */
  readonly asked: number | 'infinity';
  readonly byDefault?: number;
  readonly file: string;
  /** What the file says; undefined when it cannot say anything about it. */
  readonly parse: (text: string) => number | 'infinity' | undefined;
}

/** Files of a cgroup that say which limits are in force. */
export const LIMIT_FILES = [
  'memory.max',
  'memory.high',
  'memory.swap.max',
  'cpu.max',
  'cpu.weight',
  'pids.max',
  'io.weight',
  'io.max',
];

/** A limit of a unit or slice, the file of its cgroup that says what is in force, and how. */
export function limitRows(limits: PlannedLimits): LimitRow[] {
  return [
    { name: 'memory', property: 'MemoryMax', asked: limits.memoryMax, file: 'memory.max', parse: number },
    { name: 'memory-high', property: 'MemoryHigh', asked: limits.memoryHigh, file: 'memory.high', parse: number },
    { name: 'swap', property: 'MemorySwapMax', asked: limits.swapMax, file: 'memory.swap.max', parse: number },
    { name: 'cpu', property: 'CPUQuotaPerSecUSec', asked: limits.cpuQuotaPerSecUsec, file: 'cpu.max', parse: cpuQuota },
    {
      name: 'cpu-weight',
      property: 'CPUWeight',
      asked: limits.cpuWeight,
      byDefault: 100,
      file: 'cpu.weight',
      parse: number,
    },
    { name: 'tasks', property: 'TasksMax', asked: limits.tasksMax, file: 'pids.max', parse: number },
    {
      name: 'io-weight',
      property: 'IOWeight',
      asked: limits.ioWeight,
      byDefault: 100,
      file: 'io.weight',
      parse: ioWeight,
    },
  ];
}

/** One row for each disk and direction that is limited. */
export function diskRows(limits: PlannedLimits, disks: ReadonlyMap<string, string | undefined>): LimitRow[] {
  const kinds = [
    ['read', 'read', 'rbps', 'IOReadBandwidthMax'],
    ['write', 'write', 'wbps', 'IOWriteBandwidthMax'],
    ['readIops', 'read-iops', 'riops', 'IOReadIOPSMax'],
    ['writeIops', 'write-iops', 'wiops', 'IOWriteIOPSMax'],
  ] as const;
  return limits.io.flatMap((limit) =>
    kinds
      .filter(([kind]) => limit[kind] !== 'infinity')
      .map(([kind, key, word, property]) => ({
        name: `io ${limit.path} ${key}`,
        property,
        path: limit.path,
        asked: limit[kind],
        file: 'io.max',
        parse: (text: string) => diskLimit(text, disks.get(limit.path), word),
      })),
  );
}

/** Out of lines `MAJOR:MINOR rbps=N wbps=max riops=max wiops=max`, which are there for limited disks only. */
function diskLimit(text: string, disk: string | undefined, word: string): number | 'infinity' | undefined {
  if (disk === undefined) return undefined;
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${disk} `)) ?? '';
  const value = line.split(' ').find((field) => field.startsWith(`${word}=`));
  return value === undefined ? 'infinity' : number(value.slice(word.length + 1));
}

/** `default N`, and lines for single disks below it, which nobody sets. */
function ioWeight(text: string): number {
  return Number(/^default (\d+)/.exec(text)?.[1] ?? text);
}

function number(text: string): number | 'infinity' {
  return text === 'max' ? 'infinity' : Number(text);
}

/** `QUOTA PERIOD` in microseconds to microseconds in a second (cgroup-v2, cpu.max). */
function cpuQuota(text: string): number | 'infinity' {
  const [quota = '', period = ''] = text.split(' ');
  return quota === 'max' ? 'infinity' : Math.round((Number(quota) * 1_000_000) / Number(period));
}
