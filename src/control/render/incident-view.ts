import { formatBytes } from '../../base/bytes.ts';
import { escapeText } from '../../base/printable.ts';
import type { TaskEvidence } from '../../kernel/task-evidence.ts';
import type { IncidentReport, IncidentSummary } from '../incident-api.ts';
import { paint } from './colour.ts';
import { IncidentLines } from './incident-lines.ts';
import { type Cell, renderTable, type TableOptions } from './table.ts';
import { formatMoment, formatSpan } from './time.ts';

/** One incident a line, as they come. */
export function renderIncidents(incidents: readonly IncidentSummary[], options: TableOptions): string {
  if (incidents.length === 0) return 'No incident is kept.\n';
  const rows = incidents.map((each): Cell[] => [
    { text: each.id },
    { text: each.kind === null ? each.class : `${each.class} (${each.kind})`, style: 'bad' },
    ended(each),
    { text: `${each.text}; ${each.action}` },
  ]);
  return renderTable(
    [
      { title: 'INCIDENT' },
      { title: 'CLASS' },
      { title: 'OVER AFTER', align: 'right' },
      { title: 'WHAT', shrinkTo: 12 },
    ],
    rows,
    options,
  );
}

function ended({ over, at }: IncidentSummary): Cell {
  return over === null ? { text: 'not over', style: 'warning' } : { text: formatSpan(over.at - at), style: 'good' };
}

const MOST_STEPS = 64;
const MOST_EVIDENCE = 64;
/** Of a list, unless all is asked for as JSON. */
const SHOWN = 20;

/** All of an incident, part by part. */
export function renderIncident(report: IncidentReport, options: TableOptions): string {
  const title = (text: string): string => paint(text, 'strong', options.colour);
  const lines = new IncidentLines(report, options);
  const part = (name: string, found: readonly string[]): string =>
    found.length === 0 ? '' : `${title(name)}\n${found.map((line) => `${line}\n`).join('')}`;
  const { incident, descriptors, journal, missing, files, directory } = report;
  return [
    `${title(incident.id)}: ${lines.head}\n`,
    part('Cause', lines.cause),
    part('Evidence', [...lines.evidence(MOST_EVIDENCE), ...lines.excuses, ...lines.requests]),
    part('Done', lines.done(MOST_STEPS)),
    part('What to do', lines.advice),
    part('Requests', flightLines(report)),
    report.tasks === null || report.tasks.tasks.length === 0
      ? ''
      : `${title('Threads')}\n${taskTable(report.tasks.tasks, options)}`,
    part('Open files of the main process', indented(descriptors ?? [])),
    part('Last lines', indented((journal ?? []).slice(-SHOWN))),
    part('Not to be had', indented(missing)),
    part(
      `In ${directory}`,
      files.map(({ name, bytes }) => `  ${escapeText(name)}  ${formatBytes(bytes)}`),
    ),
  ]
    .filter((text) => text !== '')
    .join('\n');
}

function flightLines({ flight, incident }: IncidentReport): string[] {
  if (flight === null) return [];
  const inHand = flight.inFlight.map(({ method, traceId, inFlight }) => {
    const more = inFlight > 1 ? ` and ${inFlight - 1} more` : '';
    return `  in its hands: ${escapeText(method ?? 'a request')}${traceId === undefined ? '' : ` ${traceId}`}${more}`;
  });
  const records = flight.records.slice(-SHOWN).map(({ kind, durationMs, traceId, text }) => {
    const took = durationMs === undefined ? '' : ` after ${formatSpan(durationMs)}`;
    return `  ${kind}${took}: ${escapeText(text)}${traceId === undefined ? '' : ` ${traceId}`}`;
  });
  return [...inHand, ...(records.length === 0 ? [] : [`  before ${formatMoment(incident.at)}:`, ...records])];
}

function taskTable(tasks: readonly TaskEvidence[], options: TableOptions): string {
  const rows = tasks.map(({ tid, comm, state, syscall, wchan }): Cell[] => [
    { text: String(tid) },
    { text: comm },
    { text: state },
    { text: wchan === '0' ? '' : wchan },
    { text: syscall },
  ]);
  const columns = [
    { title: 'TID', align: 'right' as const },
    { title: 'NAME' },
    { title: 'STATE' },
    { title: 'WAITS IN' },
    { title: 'SYSTEM CALL', shrinkTo: 12 },
  ];
  return renderTable(columns, rows, { ...options, indent: 2 });
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${escapeText(line)}`);
}
