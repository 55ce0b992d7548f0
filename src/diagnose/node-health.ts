import { formatBytes } from '../base/bytes.ts';
import type { NodeThresholds } from '../declare/configuration.ts';
import type { GpuFacts, NodeFacts } from './node-facts.ts';
import type { Evidence, Verdict } from './verdict.ts';

export type TroubleKind = 'temperature' | 'memory' | 'load' | 'gpu-temperature' | 'gpu-errors';

/** Something that is above its threshold. */
export interface Trouble {
  readonly kind: TroubleKind;
  /** Bus of the GPU that it is about. */
  readonly gpu: string | undefined;
  readonly text: string;
  readonly evidence: readonly Evidence[];
}

/** What looks in a row have said of one thing. */
interface Watched {
  readonly trouble: Trouble;
  readonly ill: boolean;
  /** Looks in a row that said the opposite of `ill`. */
  readonly against: number;
}

/** What is remembered from one look to the next. */
export interface NodeHealth {
  readonly watched: ReadonlyMap<string, Watched>;
  /** Uncorrected errors of each GPU, by its bus, at the last look. */
  readonly errors: ReadonlyMap<string, number>;
}

export const UNKNOWN_HEALTH: NodeHealth = { watched: new Map(), errors: new Map() };

export interface Judgement {
  readonly health: NodeHealth;
  readonly began: readonly Trouble[];
  readonly ended: readonly Trouble[];
}

/** What another look means. A thing is ill, or well again, when `looks` of them in a row have said so. */
export function judgeNode(before: NodeHealth, facts: NodeFacts, thresholds: NodeThresholds): Judgement {
  const seen = new Map(troubles(before, facts, thresholds).map((trouble) => [keyOf(trouble), trouble]));
  const watched = new Map<string, Watched>();
  const began: Trouble[] = [];
  const ended: Trouble[] = [];
  for (const key of new Set([...before.watched.keys(), ...seen.keys()])) {
    const known = before.watched.get(key);
    const now = seen.get(key);
    const trouble = now ?? known?.trouble;
    if (trouble === undefined) continue;
    const ill = known?.ill === true;
    const against = ill === (now === undefined) ? (known?.against ?? 0) + 1 : 0;
    const turned = against >= thresholds.looks;
    if (turned) (ill ? ended : began).push(trouble);
    // Well, and nothing said otherwise: there is nothing to remember.
    if (turned ? !ill : ill || against > 0)
      watched.set(key, { trouble, ill: turned ? !ill : ill, against: turned ? 0 : against });
  }
  const errors = new Map(
    facts.gpus.flatMap(({ bus, uncorrectedErrors: count }): [string, number][] =>
      count === null ? [] : [[bus, count]],
    ),
  );
  return { health: { watched, errors }, began, ended };
}

/** What is ill now. */
export function troublesOf({ watched }: NodeHealth): readonly Trouble[] {
  return [...watched.values()].filter(({ ill }) => ill).map(({ trouble }) => trouble);
}

/** The same as an engineer of recovery gets it. */
export function hardwareVerdict({ kind, text, evidence }: Trouble, looks: number): Verdict {
  const rows = [...evidence, { what: 'looks in a row', value: String(looks) }];
  return { class: 'hardware', kind, confidence: 1, text, evidence: rows, excuses: [], traceIds: [] };
}

/** Whether it concerns a plugin with these devices: a GPU those that have one, all else everybody. */
export function concerns({ gpu }: Trouble, devices: readonly string[]): boolean {
  return gpu === undefined || devices.some((path) => /^\/dev\/(?:nvidia|dri\/|kfd$)/.test(path));
}

function keyOf({ kind, gpu }: Trouble): string {
  return gpu === undefined ? kind : `${kind} ${gpu}`;
}

function troubles(before: NodeHealth, facts: NodeFacts, thresholds: NodeThresholds): Trouble[] {
  const found: Trouble[] = [];
  const add = (kind: TroubleKind, text: string, evidence: readonly Evidence[], gpu?: GpuFacts) =>
    found.push({ kind, gpu: gpu?.bus, text, evidence });
  const { temperature, memory, load, cpus } = facts;
  if (temperature !== null && isAbove(temperature, thresholds.temperature))
    add('temperature', `the processor has ${temperature} °C, more than ${thresholds.temperature} °C`, [
      { what: 'temperature', value: `${temperature} °C` },
    ]);
  if (memory !== null) {
    const used = usedPercent(memory);
    if (isAbove(used, thresholds.memory))
      add('memory', `${used}% of the node's memory are in use, more than ${thresholds.memory}%`, [
        {
          what: 'available memory',
          value: `${formatBytes(memory.availableBytes)} of ${formatBytes(memory.totalBytes)}`,
        },
      ]);
  }
  if (load !== null && cpus !== null && cpus > 0) {
    const each = Number((load / cpus).toFixed(2));
    if (isAbove(each, thresholds.load))
      add('load', `the load is ${each} for each CPU, more than ${thresholds.load}`, [
        { what: 'load average', value: `${load} on ${cpus} CPUs` },
      ]);
  }
  for (const gpu of facts.gpus) {
    const name = `GPU ${gpu.bus} (${gpu.model})`;
    if (gpu.temperature !== null && isAbove(gpu.temperature, thresholds.gpuTemperature)) {
      const text = `${name} has ${gpu.temperature} °C, more than ${thresholds.gpuTemperature} °C`;
      add('gpu-temperature', text, [{ what: 'temperature', value: `${gpu.temperature} °C` }], gpu);
    }
    const errors = newErrors(before, gpu);
    if (errors.length > 0) add('gpu-errors', `${name} reports errors of its hardware`, errors, gpu);
  }
  return found;
}

/** Errors that came since the last look: the count itself stays until the driver is loaded anew. */
function newErrors({ errors }: NodeHealth, { bus, uncorrectedErrors, xid }: GpuFacts): Evidence[] {
  const known = errors.get(bus);
  const grown = uncorrectedErrors !== null && known !== undefined ? uncorrectedErrors - known : 0;
  return [
    ...(grown > 0
      ? [{ what: 'memory errors not corrected', value: `${grown} more, ${uncorrectedErrors} in all` }]
      : []),
    ...(xid === null ? [] : [{ what: 'Xid', value: String(xid) }]),
  ];
}

export function usedPercent({ totalBytes, availableBytes }: NonNullable<NodeFacts['memory']>): number {
  return Number((100 * (1 - availableBytes / totalBytes)).toFixed(1));
}

function isAbove(value: number, threshold: number | 'infinity'): boolean {
  return threshold !== 'infinity' && value > threshold;
}
