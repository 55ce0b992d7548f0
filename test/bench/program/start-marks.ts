import type { Execution } from './exec-trace.ts';
import type { JournalLine } from './journal.ts';
import { firstInstruction } from './journal.ts';
import type { Start } from './start-variants.ts';

/** Message ids of systemd: systemd.journal-fields(7), and its catalog. */
const UNIT_STARTED = '39f53479d3a045ac8e11786248231fbf';

/** Points in time on the way from the call to a plugin that is ready, in their usual order. */
export const MARKS = {
  called: 'called',
  wanted: 'the supervisor knows that the plugin is wanted',
  ordered: 'the supervisor orders the sandbox',
  executor: 'systemd executes its helper',
  launcher: 'launcher executed',
  nspawn: 'nspawn executed',
  init: 'init executed',
  payload: 'payload executed',
  first: 'first instruction of the payload',
  active: 'systemd knows that it is ready',
  ready: 'the supervisor knows that it is ready',
  done: 'the caller knows that it is ready',
} as const;

export type Mark = keyof typeof MARKS;

/** What is known of one start; ms of CLOCK_MONOTONIC. */
export type Marks = Partial<Record<Mark, number>>;

/** Finds what journal and trace say about one start. */
export function marksOf(start: Start, journal: readonly JournalLine[], trace: readonly Execution[]): Marks {
  const inside = ({ at }: { readonly at: number }): boolean => at >= start.called && at <= start.ended;
  const lines = journal.filter(inside);
  const firsts = lines.map(firstInstruction).filter((at) => at !== undefined && at >= start.called);
  const executed = trace.filter(inside);
  const marks: Marks = { called: start.called };
  const set = (mark: Mark, at: number | undefined): void => {
    if (at !== undefined) marks[mark] = at;
  };
  set('first', start.first ?? firsts[0]);
  set('done', start.done);
  if (start.variant === 'bulkhead') {
    set('wanted', lines.find(({ event }) => event === 'wanted')?.at);
    set('ordered', lines.find(({ event }) => event === 'starting')?.at);
    set('ready', lines.find(({ event }) => event === 'ready')?.at);
  }
  set('active', lines.find(({ id, about }) => id === UNIT_STARTED && isUnitOf(start, about))?.at);
  // Before the sandbox's own, there is the anchor's executor.
  const from = marks.ordered ?? start.called;
  const execution = (...names: readonly string[]): number | undefined =>
    executed.find(({ at, program }) => at >= from && names.includes(program.replace(/^.*\//, '')))?.at;
  set('executor', execution('systemd-executor'));
  set('launcher', execution('plugin-launch'));
  set('nspawn', execution('systemd-nspawn'));
  set('init', execution('plugin-init'));
  const first = marks.first ?? Number.POSITIVE_INFINITY;
  set('payload', executed.findLast(({ at, program }) => at <= first && isPayload(program))?.at);
  return marks;
}

function isPayload(program: string): boolean {
  return /\/(main|python3|node)$/.test(program);
}

function isUnitOf(start: Start, unit: string): boolean {
  return start.variant === 'bulkhead'
    ? unit.startsWith('plugin-')
    : unit === `bench-${start.plugin.language}-${start.variant}-${start.round}.service`;
}
