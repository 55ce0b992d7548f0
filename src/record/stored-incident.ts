import { isFailureClass } from '../base/failure-class.ts';
import type { Incident } from '../diagnose/incident.ts';
import type { UidRange } from '../kernel/core-dumps.ts';

/** What became of an incident, one line each. */
export interface IncidentStep {
  /** Wall clock, ms since 1970. */
  readonly at: number;
  readonly text: string;
}

/** `incident.json` of a bundle. */
export interface StoredIncident {
  readonly format: 1;
  readonly incident: Incident;
  readonly steps: readonly IncidentStep[];
  /** How it ended; null while the plugin recovers. */
  readonly over: IncidentStep | null;
  /** `gathering` until all that could be had is in the bundle. */
  readonly evidence: 'gathering' | 'whole';
  /** What could not be had, and why. */
  readonly missing: readonly string[];
  /** Whose core dump it may have; null when none is to be expected. */
  readonly core: CoreExpected | null;
}

/** User ids of the sandbox on the host, and the RLIMIT_CORE of its payload in bytes. */
export interface CoreExpected {
  readonly uids: UidRange;
  readonly limit: number | 'infinity';
}

/** What lists and decisions about old ones need to know of a bundle. */
export interface IncidentSummary {
  readonly id: string;
  readonly plugin: string;
  readonly version: string | null;
  readonly unit: string | null;
  readonly at: number;
  readonly class: Incident['verdict']['class'];
  readonly kind: string | null;
  readonly text: string;
  readonly action: string;
  readonly step: Incident['step']['kind'];
  readonly over: IncidentStep | null;
  readonly evidence: StoredIncident['evidence'];
  /** Size of the bundle. */
  readonly bytes: number;
}

/** Wall time, plugin, number: a file name that holds no path. */
const ID = /^\d{8}T\d{6}-[a-z0-9](?:[a-z0-9._-]{0,46}[a-z0-9])?-\d{1,15}$/;

export function isIncidentId(text: string): boolean {
  return ID.test(text) && !text.includes('..');
}

/** Steps of one incident that are kept: what comes after so many says nothing new. */
const MOST_STEPS = 64;

export function withStep(stored: StoredIncident, step: IncidentStep): StoredIncident {
  return stored.steps.length >= MOST_STEPS ? stored : { ...stored, steps: [...stored.steps, step] };
}

export function summaryOf({ incident, over, evidence }: StoredIncident, bytes: number): IncidentSummary {
  const { id, plugin, version, unit, at, verdict, action, step } = incident;
  return {
    id,
    plugin,
    version: version ?? null,
    unit: unit ?? null,
    at,
    class: verdict.class,
    kind: verdict.kind ?? null,
    text: verdict.text,
    action,
    step: step.kind,
    over,
    evidence,
    bytes,
  };
}

/** Undefined for what is damaged, or of a format that is not known. */
export function parseStoredIncident(text: string): StoredIncident | undefined {
  try {
    const stored = JSON.parse(text) as StoredIncident;
    const { incident, steps, over, evidence, missing, core } = stored;
    const whole =
      stored.format === 1 &&
      isIncident(incident) &&
      isList(steps, isStep) &&
      (over === null || isStep(over)) &&
      (evidence === 'gathering' || evidence === 'whole') &&
      isList(missing, isText) &&
      (core === null || [core.uids.base, core.uids.count].every(Number.isSafeInteger));
    return whole ? stored : undefined;
  } catch {
    return undefined;
  }
}

function isIncident({ id, plugin, at, verdict, action, step }: Incident): boolean {
  return (
    isText(id) &&
    isIncidentId(id) &&
    [plugin, action, step.kind, verdict.text].every(isText) &&
    Number.isFinite(at) &&
    isFailureClass(verdict.class) &&
    isList(verdict.evidence, ({ what, value }) => isText(what) && isText(value)) &&
    isList(verdict.excuses, ({ excuse, detail }) => isText(excuse) && isText(detail)) &&
    isList(verdict.traceIds, isText)
  );
}

function isStep({ at, text }: IncidentStep): boolean {
  return Number.isFinite(at) && isText(text);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isList<T>(values: readonly T[], isOne: (value: T) => boolean): boolean {
  return Array.isArray(values) && values.every(isOne);
}
