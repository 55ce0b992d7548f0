import { parseSandboxUnit } from '../../../src/plan/identity.ts';
import type { Execution } from './exec-trace.ts';
import { firstInstruction, type JournalLine } from './journal.ts';
import { isOurs, type Start, unitOf } from './start-variants.ts';

/** Message id of "unit was started", which is the end of its start job; see journalctl --catalog. */
const UNIT_STARTED = '39f53479d3a045ac8e11786248231fbf';

/** Points in time on the way from the call to a plugin that is ready, each with those that it follows at once. */
export const MARKS = {
  called: { text: 'called', after: [] },
  anchorHelper: { text: "anchor: systemd's helper executed", after: ['called'] },
  anchor: { text: 'anchor: executed', after: ['anchorHelper', 'called'] },
  wanted: { text: 'anchor: it has told the supervisor that the plugin is wanted', after: ['anchor', 'called'] },
  ordered: { text: 'supervisor: declaration read and planned, sandbox ordered', after: ['wanted'] },
  helper: { text: "systemd's helper executed", after: ['ordered', 'called'] },
  launcher: { text: 'launcher executed', after: ['helper', 'ordered'] },
  nspawn: { text: 'nspawn executed', after: ['launcher', 'helper', 'called'] },
  asked: { text: 'spawner: has the request', after: ['ordered'] },
  cloned: { text: 'spawner: process cloned', after: ['asked'] },
  scope: { text: 'systemd: process is in its scope (the box is set up meanwhile)', after: ['cloned', 'ordered'] },
  init: { text: 'init executed', after: ['nspawn', 'scope'] },
  payload: { text: 'payload executed', after: ['init', 'nspawn', 'helper', 'called'] },
  first: { text: 'first instruction of the payload (beside what follows)', after: ['payload', 'ordered', 'called'] },
  active: { text: 'systemd: ready', after: ['payload', 'ordered', 'called'] },
  ready: { text: 'supervisor: ready', after: ['active', 'payload', 'ordered'] },
  done: { text: 'caller: ready', after: ['ready', 'active', 'called'] },
} as const;

export type Mark = keyof typeof MARKS;

/** What is known of one start; ms of CLOCK_MONOTONIC. */
export type Marks = Partial<Record<Mark, number>>;

/** Finds what journal and trace say about one start. */
export function marksOf(start: Start, journal: readonly JournalLine[], trace: readonly Execution[]): Marks {
  const inside = ({ at }: { readonly at: number }): boolean => at >= start.called && at <= start.ended;
  const lines = journal.filter(inside);
  const executed = trace.filter(inside);
  const event = (name: string): number | undefined => lines.find((line) => line.event === name)?.at;
  /** The first execution of one of these programs from then on. */
  const execution = (from: number | undefined, program: RegExp): number | undefined =>
    from === undefined ? undefined : executed.find((one) => one.at >= from && program.test(one.program))?.at;

  const ours = isOurs(start.variant);
  const scope = start.variant === 'scope';
  const started = lines.find(({ id, about }) => id === UNIT_STARTED && isUnitOf(start, about))?.at;
  const first = start.first ?? lines.map(firstInstruction).find((at) => at !== undefined && at >= start.called);
  const ordered = ours ? event('starting') : undefined;
  const beginning = ours ? ordered : start.called;
  const marks: Record<Mark, number | undefined> = {
    called: start.called,
    anchorHelper: ours ? execution(start.called, SYSTEMD_HELPER) : undefined,
    anchor: ours ? execution(start.called, /\/plugin-anchor$/) : undefined,
    wanted: ours ? event('wanted') : undefined,
    ordered,
    helper: start.done === undefined || scope ? undefined : execution(beginning, SYSTEMD_HELPER),
    launcher: start.variant === 'bulkhead' ? execution(beginning, /\/plugin-launch$/) : undefined,
    nspawn: scope ? undefined : execution(beginning, /\/systemd-nspawn$/),
    asked: scope ? execution(beginning, SPAWNER) : undefined,
    cloned: scope
      ? executed.filter(({ at, program }) => at >= (beginning ?? 0) && SPAWNER.test(program))[1]?.at
      : undefined,
    scope: scope ? started : undefined,
    init: ours ? execution(beginning, /\/plugin-init$/) : undefined,
    payload: executed.findLast(({ at, program }) => at <= (first ?? 0) && PAYLOAD.test(program))?.at,
    first,
    active: scope ? undefined : started,
    ready: ours ? event('ready') : undefined,
    done: start.done,
  };
  return Object.fromEntries(Object.entries(marks).filter(([, at]) => at !== undefined));
}

/** systemd-executor is executed by its descriptor. */
const SYSTEMD_HELPER = /^\/proc\/self\/fd\/\d+$/;

/** It forks for each request, and then clones. */
const SPAWNER = /^fork:plugin-spawner$/;

const PAYLOAD = /\/(main|python3|node)$/;

function isUnitOf(start: Start, unit: string): boolean {
  return isOurs(start.variant)
    ? parseSandboxUnit(unit)?.plugin === start.plugin.name
    : unit === unitOf(start.plugin, start.variant, start.round);
}
