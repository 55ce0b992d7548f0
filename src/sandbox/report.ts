import { printable } from '../base/printable.ts';
import { PROBE_NAMES, type ProbeName } from '../declare/probe.ts';
import type { ToldMetrics } from '../diagnose/metrics.ts';
import type { SeenCall } from '../learn/rule.ts';
import { isGate } from '../plan/gate.ts';
import type { Gate } from '../plan/plan.ts';

/** What init says on the report pipe; see docs/internals.md. Nothing of it is believed beyond its bounds. */
export type Report =
  | { readonly event: 'started'; readonly pid: number }
  | { readonly event: 'ready' }
  | { readonly event: 'status'; readonly text: string }
  | { readonly event: 'stopping'; readonly signal: number }
  /** How its gate stands now that it was told to. */
  | { readonly event: 'gate'; readonly gate: Gate }
  | ({ readonly event: 'forbidden' } & ForbiddenCall)
  | { readonly event: 'call'; readonly seen: SeenCall }
  | { readonly event: 'helper-lost'; readonly helper: Helper }
  | { readonly event: 'setup-failed'; readonly step: string; readonly error: string }
  | ({ readonly event: 'probe' } & ProbeReport)
  | ({ readonly event: 'metrics' } & MetricsReport)
  | {
      readonly event: 'exit';
      readonly how: 'exited' | 'killed' | 'dumped';
      readonly status: number;
      /** Undefined where an init of an earlier version did not look. */
      readonly childrenLeft?: boolean;
    };

/** What a probe says now. `asked` is false when the question could not be put: then `passes` is what was known before. */
export interface ProbeReport {
  readonly probe: ProbeName;
  readonly passes: boolean;
  readonly asked: boolean;
  readonly text: string;
}

/** What the program tells of itself, or why there is nothing. All of it is counted since the program began. */
export type MetricsReport = { readonly error: string } | (ToldMetrics & { readonly error: undefined });

/** A process of ours that a sandbox cannot do without: the forwarder outside, the adapter or the prober inside. */
export type Helper = 'egress' | 'adapter' | 'prober';

/** A system call that the payload's list does not allow; the payload ends with it. */
export interface ForbiddenCall {
  /** Its name, its number where init has no name for it, or `unknown`. */
  readonly call: string;
  /** Process and thread that made it, inside the sandbox; 0 when unknown. */
  readonly pid: number;
  readonly tid: number;
}

/** Highest process id there can be (pid_max of proc_sys_kernel(5)). */
const MOST_PID = 4_194_304;

/** native/init/metrics.h. */
const MOST_BUCKETS = 24;

/** A line of init is shorter than this (PIPE_BUF, so that each is written whole). */
export const LONGEST_REPORT_BYTES = 4096;

/** The report on the line, or undefined when it is none. */
export function parseReport(line: string): Report | undefined {
  if (line.length > LONGEST_REPORT_BYTES) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { event, pid, text, signal, step, error, how, status, call, tid, helper, gate, childrenLeft } = value as Record<
    string,
    unknown
  >;
  switch (event) {
    case 'started':
      return isCount(pid, MOST_PID) ? { event, pid } : undefined;
    case 'ready':
      return { event };
    case 'status':
      return typeof text === 'string' ? { event, text: printable(text) } : undefined;
    case 'stopping':
      return isCount(signal, 64) ? { event, signal } : undefined;
    case 'gate':
      return isGate(gate) ? { event, gate } : undefined;
    case 'forbidden':
      if (!isCallName(call)) return undefined;
      return isCount(pid, MOST_PID) && isCount(tid, MOST_PID) ? { event, call, pid, tid } : undefined;
    case 'call':
      return parseCall(value as Record<string, unknown>);
    case 'helper-lost':
      return helper === 'egress' || helper === 'adapter' || helper === 'prober' ? { event, helper } : undefined;
    case 'probe':
      return parseProbe(value as Record<string, unknown>);
    case 'metrics':
      return parseMetrics(value as Record<string, unknown>);
    case 'setup-failed':
      if (typeof step !== 'string' || typeof error !== 'string') return undefined;
      return { event, step: printable(step), error: printable(error) };
    case 'exit':
      if ((how !== 'exited' && how !== 'killed' && how !== 'dumped') || !isCount(status, 255)) return undefined;
      return { event, how, status, ...(typeof childrenLeft === 'boolean' ? { childrenLeft } : {}) };
    default:
      return undefined;
  }
}

function parseProbe({ probe, passes, asked, text }: Record<string, unknown>): Report | undefined {
  const name = PROBE_NAMES.find((each) => each === probe);
  if (name === undefined || typeof text !== 'string') return undefined;
  if (typeof passes !== 'boolean' || typeof asked !== 'boolean') return undefined;
  return { event: 'probe', probe: name, passes, asked, text: printable(text) };
}

function parseMetrics({ error, requests, errors, all, buckets }: Record<string, unknown>): Report | undefined {
  if (typeof error === 'string') return { event: 'metrics', error: printable(error) };
  if (!isToldCount(requests) || !isToldCount(errors) || !isToldCount(all)) return undefined;
  if (!Array.isArray(buckets) || buckets.length > MOST_BUCKETS || !buckets.every(isBucket)) return undefined;
  const upTo = buckets.map(([bound, count]) => ({ bound, count }));
  if (upTo.some(({ bound }, index) => index > 0 && bound <= (upTo[index - 1]?.bound ?? 0))) return undefined;
  const told = { requests: requests ?? undefined, errors: errors ?? undefined };
  const times = all === null ? undefined : { all, upTo };
  return { event: 'metrics', error: undefined, ...told, times };
}

function isToldCount(value: unknown): value is number | null {
  return value === null || isCount(value, Number.MAX_SAFE_INTEGER + 1);
}

function isBucket(value: unknown): value is [number, number] {
  const [bound, count, more] = Array.isArray(value) ? (value as unknown[]) : [];
  return Number.isFinite(bound) && isCount(count, Number.MAX_SAFE_INTEGER + 1) && more === undefined;
}

function parseCall({ call, argument, value, more, answer, errno }: Record<string, unknown>): Report | undefined {
  if (!isCallName(call) || typeof value !== 'string' || !/^\d{1,20}$/.test(value)) return undefined;
  if (argument !== -1 && !isCount(argument, 5)) return undefined;
  if (answer !== 'allowed' && answer !== 'answered' && answer !== 'refused') return undefined;
  if (typeof more !== 'boolean' || !isCount(errno, 4095)) return undefined;
  return { event: 'call', seen: { call, argument, value, more, answer, errno } };
}

function isCallName(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z0-9_:-]{1,64}$/.test(value);
}

function isCount(value: unknown, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most;
}
