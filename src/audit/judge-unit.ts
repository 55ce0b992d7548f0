import type { PlannedLimits, SandboxPlan } from '../plan/plan.ts';
import { unitLimits } from '../unit/overhead.ts';
import type { BusProperty } from '../unit/properties.ts';
import type { UnitFacts } from './facts.ts';
import { type Finding, finding, wallOf } from './finding.ts';

/** Set, but no wall: words for people, and for the journal. */
const NO_WALL = new Set(['Description', 'LogExtraFields', 'SuccessExitStatus', 'CollectMode', 'SyslogIdentifier']);

/** Properties of a unit or slice that systemd does not have as they were asked for. */
export function judgeProperties(
  unit: string,
  planned: readonly BusProperty[],
  properties: Readonly<Record<string, unknown>>,
): Finding[] {
  const walls = planned.filter(([name]) => !NO_WALL.has(name));
  const deviations = walls.flatMap(([name, signature, value]) => {
    const [wanted, seen] = [comparable(name, signature, value), comparable(name, signature, properties[name])];
    return wanted === seen ? [] : [`${name}=${shown(seen)} instead of ${shown(wanted)}`];
  });
  if (properties.LoadState !== 'loaded') deviations.unshift(`LoadState=${String(properties.LoadState)}`);
  return wallOf('unit', `${unit} with ${walls.length} properties as planned`, 'all as planned', deviations);
}

/** The command is asked for as `(path, words, ignore failure)` and told with times and pids behind that. */
function comparable(name: string, signature: string, value: unknown): string {
  if (value === undefined) return 'not there';
  if (name === 'ExecStart') {
    const [path, words] = (Array.isArray(value) && Array.isArray(value[0]) ? value[0] : []) as unknown[];
    return JSON.stringify([path, words]);
  }
  if (signature === 'as') return JSON.stringify([...(value as readonly string[])].sort());
  return String(value);
}

function shown(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

export interface LimitRow {
  readonly name: string;
  /** 'infinity', or what the kernel does without being asked, means that nothing is asked for. */
  readonly asked: number | 'infinity';
  readonly byDefault?: number;
  readonly file: string;
  /** What the file says; undefined when it cannot say anything about it. */
  readonly parse: (text: string) => number | 'infinity' | undefined;
}

/** What is in force, as the cgroup's files say, beside what was asked for. */
export function judgeLimits(
  plan: SandboxPlan,
  files: Readonly<Record<string, string | null>>,
  disks: ReadonlyMap<string, string | undefined>,
): Finding[] {
  const limits = unitLimits(plan.limits, plan.isolation);
  return [...limitRows(limits), ...diskRows(limits, disks)].map(({ name, asked, byDefault, file, parse }) => {
    const text = files[file] ?? null;
    const wanted = `${name} ${asked}`;
    if (text === null) {
      return asked === 'infinity' || asked === byDefault
        ? finding('limits', 'holds', wanted, 'nothing to enforce')
        : finding('limits', 'not-enforced', wanted, `no ${file}: the host has no such controller`);
    }
    const seen = parse(text);
    if (seen === undefined) return finding('limits', 'not-enforced', wanted, 'no block device behind that path');
    return finding('limits', seen === asked ? 'holds' : 'broken', wanted, `${file} ${text}`);
  });
}

/** Files of the cgroup that `judgeLimits` wants to see. */
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
    { name: 'memory', asked: limits.memoryMax, file: 'memory.max', parse: number },
    { name: 'memory-high', asked: limits.memoryHigh, file: 'memory.high', parse: number },
    { name: 'swap', asked: limits.swapMax, file: 'memory.swap.max', parse: number },
    { name: 'cpu', asked: limits.cpuQuotaPerSecUsec, file: 'cpu.max', parse: cpuQuota },
    { name: 'cpu-weight', asked: limits.cpuWeight, byDefault: 100, file: 'cpu.weight', parse: number },
    { name: 'tasks', asked: limits.tasksMax, file: 'pids.max', parse: number },
    { name: 'io-weight', asked: limits.ioWeight, byDefault: 100, file: 'io.weight', parse: ioWeight },
  ];
}

/** One row for each disk and direction that is limited. */
export function diskRows(limits: PlannedLimits, disks: ReadonlyMap<string, string | undefined>): LimitRow[] {
  const kinds = [
    ['read', 'rbps'],
    ['write', 'wbps'],
    ['readIops', 'riops'],
    ['writeIops', 'wiops'],
  ] as const;
  return limits.io.flatMap((limit) =>
    kinds
      .filter(([kind]) => limit[kind] !== 'infinity')
      .map(([kind, word]) => ({
        name: `io ${limit.path} ${kind === 'readIops' ? 'read-iops' : kind === 'writeIops' ? 'write-iops' : kind}`,
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

/** The filter that was handed out. That the kernel still has it cannot be seen without tracing the payload. */
export function judgeFilter(plan: SandboxPlan, { filterGiven, filterCompiled }: UnitFacts): Finding {
  const wanted = `the compiled filter '${plan.seccomp}', ${filterCompiled.slice(0, 16)}`;
  if (filterGiven === null)
    return finding('filter', 'unknown', wanted, 'an earlier supervisor started it and did not note its filter');
  if (filterGiven === filterCompiled) return finding('filter', 'holds', wanted, 'it was handed to the launcher');
  return finding('filter', 'broken', wanted, `started with another one, ${filterGiven.slice(0, 16)}`);
}
