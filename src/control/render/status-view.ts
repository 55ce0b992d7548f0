import { formatBytes } from '../../base/bytes.ts';
import { escapeText } from '../../base/printable.ts';
import type { CallsStatus, PluginStatus, SandboxStatus, SlotListenerStatus, StateStatus } from '../api.ts';
import type { ResilienceStatus } from '../resilience.ts';
import { paint } from './colour.ts';
import { limitLines } from './limit-lines.ts';
import { PLUGIN_LOOK, SANDBOX_STYLE } from './state.ts';
import { type Cell, type Column, renderTable, type TableOptions } from './table.ts';
import { formatMoment, formatSpan } from './time.ts';
import { wayText } from './upgrade-view.ts';
import { shorten } from './width.ts';

const LABEL_WIDTH = 12;
/** Versions that failed; all of them are in the JSON. */
const MOST_FAILED = 3;

/** A plugin in the manner of `systemctl status`. */
export function renderStatus(status: PluginStatus, options: TableOptions): string {
  const look = PLUGIN_LOOK[status.state];
  const dot = paint(look.dot, look.style, options.colour);
  const title = status.description === '' ? status.name : `${status.name} - ${escapeText(status.description)}`;
  const lines = [`${dot} ${shorten(title, options.columns - 2)}`];
  for (const [label, values] of facts(status)) {
    for (const [index, value] of values.entries()) {
      const head = (index === 0 ? `${label}:` : '').padStart(LABEL_WIDTH);
      const text = shorten(escapeText(value), options.columns - LABEL_WIDTH - 1);
      lines.push(`${head} ${label === 'State' ? paint(text, look.style, options.colour) : text}`);
    }
  }
  const table = status.sandboxes.length === 0 ? '' : `\n${renderSandboxes(status.sandboxes, options)}`;
  return `${lines.join('\n')}\n${table}`;
}

function facts(status: PluginStatus): [string, readonly string[]][] {
  const { restarts, reason } = status;
  const budget = `${restarts.recent} of ${restarts.budget} within ${formatSpan(restarts.withinMs)}, ${restarts.total} in all`;
  const all: [string, readonly string[]][] = [
    ['State', [`${status.state}, ${status.line}`]],
    ['Reason', reason === null ? [] : [`${reason.code} ${reason.text}`]],
    ['Declaration', status.declaration],
    ['Version', versionLines(status)],
    ['Change', changeLines(status)],
    ['Unit', [`${status.anchorUnit}, slot ${status.slot}`]],
    ['Slice', [status.sliceUnit]],
    [
      'Listen',
      status.listeners.map((each) => {
        const to = each.to === null ? '' : `, to port ${each.to} inside`;
        const facts = `${each.name}${to}${each.kept ? '' : ', not kept over a restart'}`;
        return `${each.address} (${facts})${sharedOut(each.slots)}`;
      }),
    ],
    ['Calls', status.calls === null ? [] : callLines(status.calls)],
    ['Left behind', status.stragglers === 0 ? [] : [`${status.stragglers} connections, answered by the live slot`]],
    ['Isolation', status.isolation === '' ? [] : [status.isolation]],
    ['Network', networkLines(status.network)],
    ['Filter', [status.seccomp]],
    ['State dir', status.stateDirectory === null ? [] : [stateText(status.stateDirectory)]],
    ['Limits', limitLines(status)],
    ['Reached', status.sandboxes.flatMap(reached)],
    ['Probes', status.sandboxes.flatMap(probeLines)],
    ['Restarts', [budget]],
    ['Recovered', status.recoveries.over === 0 ? [] : [recoveredText(status.recoveries)]],
    ['Failed last', status.lastFailure === null ? [] : [failureText(status.lastFailure, status.open)]],
    ['Ill', status.sandboxes.flatMap(illness)],
    ['Resilience', status.resilience === null ? [] : resilienceLines(status.resilience)],
    ['Next start', status.nextStartMs === null ? [] : [`in ${formatSpan(status.nextStartMs)}`]],
  ];
  return all.filter(([, values]) => values.length > 0);
}

function versionLines({ version, previousVersion, failedVersions }: PluginStatus): string[] {
  const before = previousVersion === null ? '' : `, before it ${previousVersion}`;
  const failed = failedVersions.map(
    ({ version: name, reason, at }) =>
      `${name ?? 'a declaration'} FAILED, ${moment(at)}: ${reason.code} ${reason.text}`,
  );
  return [`${version ?? '-'}${before}`, ...failed.slice(-MOST_FAILED)];
}

/** The change of version that is under way with both sides, or what became of the last one. */
function changeLines({ upgrade, lastUpgrade }: PluginStatus): string[] {
  if (upgrade !== null) {
    const { id, by, why, line } = upgrade;
    const sides = [upgrade.old, upgrade.new].map(
      ({ slot, version, weight, ready, wanted }) =>
        `slot ${slot}: ${version ?? '-'}, ${weight} % of new connections, ${ready}/${wanted} ready`,
    );
    return [line, `${id}, asked for by ${by}${why === null ? '' : `: ${why}`}`, ...sides];
  }
  if (lastUpgrade === null) return [];
  const { id, outcome, at, reason } = lastUpgrade;
  const because = reason === null ? '' : `: ${reason.code} ${reason.text}`;
  return [`${wayText(lastUpgrade)} ${outcome}, ${moment(at)}, ${id}${because}`];
}

function moment(at: number): string {
  return formatMoment(at).slice(0, -'.000'.length);
}

function callLines({ discovery, directory, access, clients }: CallsStatus): string[] {
  const follow = clients === null ? 'not served' : clients === 1 ? '1 client' : `${clients} clients`;
  return [`${discovery} (${access}, ${follow})`, `${directory}/GENERATION`];
}

/** What is not as always: connections for both slots, or some that wait. */
function sharedOut(slots: readonly SlotListenerStatus[]): string {
  const isPlain = slots.every(({ weight, queued }) => queued === 0 && (weight === 0 || weight === 100));
  if (isPlain) return '';
  const texts = slots.map(({ slot, weight, queued }) => {
    const waits = queued === null ? ', does not listen any more' : queued === 0 ? '' : `, ${queued} waiting`;
    return `${slot} ${weight} %${waits}`;
  });
  return `: ${texts.join('; ')}`;
}

function recoveredText({ over, alone, meanMs }: PluginStatus['recoveries']): string {
  const mean = meanMs === null ? '' : `, in ${formatSpan(meanMs)} on average`;
  return `${alone} of ${over} failures by itself${mean}`;
}

/** What is ready and gets no connections says so. */
function stateCell({ state, standby, gate, score }: SandboxStatus): Cell {
  if (state !== 'ready' || gate === null || gate === 'open') return { text: state, style: SANDBOX_STYLE[state] };
  if (standby) return { text: 'standby', style: 'good' };
  return { text: `out of traffic${score === null || score >= 60 ? '' : `, score ${score}`}`, style: 'warning' };
}

function failureText({ class: name, kind, at, incident }: LastFailure, open: readonly string[]): string {
  return `${kind === null ? name : `${name} (${kind})`}, ${moment(at)}, ${incident}${open.includes(incident) ? ', NOT OVER' : ''}`;
}

function illness({ machine, illness: found }: SandboxStatus): string[] {
  return found === null ? [] : [`${machine}: ${found.class}: ${found.text}`];
}

function resilienceLines({ score, sees, blindTo }: ResilienceStatus): string[] {
  const blind = blindTo.length === 0 ? [] : [`not seen: ${blindTo.join(', ')}`];
  return [`${score} of 100; seen: ${sees.join(', ')}`, ...blind];
}

function stateText({ path, quotaBytes, quotaHolds }: StateStatus): string {
  if (quotaBytes === null) return path;
  return `${path}, at most ${formatBytes(quotaBytes)}${quotaHolds === false ? ', NOT ENFORCED' : ''}`;
}

/** Limits that the sandbox was at, one a line. */
function reached({ machine, limitsReached }: SandboxStatus): string[] {
  return limitsReached.map(({ text, agoMs }) => `${text}, ${formatSpan(agoMs)} ago by ${machine}`);
}

/** What its probes say, one a line; those that pass share one. */
function probeLines({ machine, probes }: SandboxStatus): string[] {
  const well = probes.filter(({ passes, asked }) => passes && asked);
  const others = probes.filter((probe) => !well.includes(probe));
  return [
    ...(well.length === 0
      ? []
      : [`${machine}: ${well.map(({ name }) => name).join(', ')} ${well.length === 1 ? 'passes' : 'pass'}`]),
    ...others.map(
      ({ name, asked, text, agoMs }) =>
        `${machine}: ${name} ${asked ? 'FAILS' : 'is unknown'}, ${text}, for ${formatSpan(agoMs)}`,
    ),
  ];
}

function networkLines({ mode, egress }: PluginStatus['network']): readonly string[] {
  if (mode === 'host') return ['HOST: no network of its own, all that the host reaches is open to it'];
  return mode === 'egress' ? egress : [];
}

type LastFailure = NonNullable<PluginStatus['lastFailure']>;

const SANDBOX_COLUMNS: readonly Column[] = [
  { title: 'SANDBOX', shrinkTo: 14 },
  { title: 'STATE' },
  { title: 'PID', align: 'right' },
  { title: 'UIDS', dropRank: 4 },
  { title: 'MEMORY', align: 'right', dropRank: 2 },
  { title: 'TASKS', align: 'right', dropRank: 5 },
  { title: 'SINCE', align: 'right', dropRank: 1 },
  { title: 'FILTER', dropRank: 6 },
  { title: 'TELLS', shrinkTo: 10, dropRank: 7 },
];

function renderSandboxes(sandboxes: readonly SandboxStatus[], options: TableOptions): string {
  const told = sandboxes.some((sandbox) => sandbox.statusText !== null);
  const columns = told ? SANDBOX_COLUMNS : SANDBOX_COLUMNS.slice(0, -1);
  return renderTable(columns, sandboxes.map(sandboxRow), { ...options, indent: 2 });
}

function sandboxRow(sandbox: SandboxStatus): Cell[] {
  const { seccomp } = sandbox;
  return [
    { text: sandbox.unit },
    stateCell(sandbox),
    { text: orDash(sandbox.payloadPid) },
    { text: `${sandbox.uidBase}-${sandbox.uidBase + sandbox.uidCount - 1}` },
    { text: sandbox.memoryBytes === null ? '-' : formatBytes(sandbox.memoryBytes) },
    { text: orDash(sandbox.tasks) },
    { text: sandbox.readySinceMs === null ? '-' : formatSpan(sandbox.readySinceMs) },
    sandbox.learning ? { text: 'learning', style: 'warning' } : filterCell(seccomp),
    { text: sandbox.statusText ?? '' },
  ];
}

/** Mode 2 of `Seccomp:` in /proc/PID/status is "filter"; anything else on a living payload is alarming (proc(5)). */
function filterCell(seccomp: SandboxStatus['seccomp']): Cell {
  if (seccomp.mode === null) return { text: `${seccomp.profile} (not seen)`, style: 'dim' };
  if (seccomp.mode !== 2) return { text: `${seccomp.profile}: NOT IN FORCE`, style: 'bad' };
  return { text: `${seccomp.profile} (${seccomp.filters ?? '?'})` };
}

function orDash(value: number | null): string {
  return value === null ? '-' : String(value);
}
