/** What was seen of the node in one look. What could not be seen is null. */
export interface NodeFacts {
  /** Degrees Celsius of the hottest part of the processor. */
  readonly temperature: number | null;
  readonly memory: { readonly totalBytes: number; readonly availableBytes: number } | null;
  /** Average over a minute; all CPUs together. */
  readonly load: number | null;
  readonly cpus: number | null;
  readonly gpus: readonly GpuFacts[];
}

export interface GpuFacts {
  /** `0000:01:00.0`, or a number where the bus is not known. */
  readonly bus: string;
  readonly model: string;
  readonly temperature: number | null;
  /** Errors of its memory that could not be corrected, since its driver was loaded. */
  readonly uncorrectedErrors: number | null;
  /** Number of the last error of hardware that its driver reported (NVIDIA's Xid) in the last minutes. */
  readonly xid: number | null;
}

/** Whatever is written by the one look; more is not read. */
export const MOST_FACTS_BYTES = 65_536;

const MOST_GPUS = 16;
const LONGEST_WORD = 64;

/** The facts that a look has written, or undefined when it is no such thing: that program may be cut off anywhere. */
export function parseNodeFacts(text: string): NodeFacts | undefined {
  const value = parseJson(text);
  if (!isObject(value)) return undefined;
  const { temperature, memory, load, cpus, gpus } = value;
  const total = isObject(memory) ? amount(memory.totalBytes) : null;
  const available = isObject(memory) ? amount(memory.availableBytes) : null;
  return {
    temperature: degrees(temperature),
    memory:
      total === null || available === null || total === 0 || available > total
        ? null
        : { totalBytes: total, availableBytes: available },
    load: amount(load),
    cpus: amount(cpus),
    gpus: Array.isArray(gpus) ? gpus.slice(0, MOST_GPUS).filter(isObject).map(toGpu) : [],
  };
}

function toGpu(gpu: Readonly<Record<string, unknown>>, index: number): GpuFacts {
  return {
    bus: word(gpu.bus, String(index)),
    model: word(gpu.model, 'GPU'),
    temperature: degrees(gpu.temperature),
    uncorrectedErrors: amount(gpu.uncorrectedErrors),
    xid: amount(gpu.xid),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function amount(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
}

/** Sensors that are not there say -127, 0 or 255. */
function degrees(value: unknown): number | null {
  const number = amount(value);
  return number !== null && number > 0 && number < 250 ? number : null;
}

function word(value: unknown, otherwise: string): string {
  const text =
    typeof value === 'string'
      ? value
          .replace(/[^ -~]/g, '?')
          .slice(0, LONGEST_WORD)
          .trim()
      : '';
  return text === '' ? otherwise : text;
}
