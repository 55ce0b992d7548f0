import { formatBytes } from '../../base/bytes.ts';
import type { LoadReport, SandboxStanding, VitalsStatus } from '../api.ts';
import { SANDBOX_STYLE } from './state.ts';
import { type Cell, type Column, renderTable, type TableOptions } from './table.ts';

const COLUMNS: readonly Column[] = [
  { title: 'SANDBOX', shrinkTo: 14 },
  { title: 'STATE' },
  { title: 'CPU', align: 'right' },
  { title: 'RSS', align: 'right' },
  { title: 'THREADS', align: 'right', dropRank: 5 },
  { title: 'FILES', align: 'right', dropRank: 4 },
  { title: 'IN HAND', align: 'right', dropRank: 2 },
  { title: 'DONE/S', align: 'right', dropRank: 3 },
  { title: 'FAILED/S', align: 'right', dropRank: 1 },
  { title: 'SCORE', align: 'right', dropRank: 6 },
  { title: 'GATE', dropRank: 7 },
  { title: 'INCIDENTS', align: 'right', dropRank: 8 },
];

/** A line for each sandbox, the busiest first. Rates are of the time since the report before; '-' is not known. */
export function renderTop(report: LoadReport, before: LoadReport | undefined, options: TableOptions): string {
  const earlier = new Map(
    (before?.plugins ?? []).flatMap(({ sandboxes }) => sandboxes.map(({ unit, vitals }) => [unit, vitals])),
  );
  const seconds = before === undefined ? 0 : (report.at - before.at) / 1000;
  const rows = report.plugins
    .flatMap(({ sandboxes, incidents }) => sandboxes.map((sandbox) => ({ sandbox, incidents })))
    .sort((one, other) => cpuOf(other.sandbox) - cpuOf(one.sandbox) || (one.sandbox.unit < other.sandbox.unit ? -1 : 1))
    .map(({ sandbox, incidents }) => row(sandbox, incidents, earlier.get(sandbox.unit) ?? null, seconds));
  if (rows.length === 0) return 'No sandbox runs.\n';
  return renderTable(COLUMNS, rows, options);
}

function cpuOf({ vitals }: SandboxStanding): number {
  return vitals?.cpuPercent ?? 0;
}

function row(sandbox: SandboxStanding, incidents: number, before: VitalsStatus | null, seconds: number): Cell[] {
  const { unit, vitals, standby, gate, score, illness } = sandbox;
  const requests = vitals?.requests ?? null;
  const rate = (of: 'done' | 'failed'): string => {
    const earlier = before?.requests?.[of];
    if (requests === null || earlier === undefined || seconds <= 0) return '-';
    return (Math.max(0, requests[of] - earlier) / seconds).toFixed(requests[of] - earlier >= 10 * seconds ? 0 : 1);
  };
  return [
    { text: unit.replace(/^plugin-/, '').replace(/\.(service|scope)$/, '') },
    illness === null
      ? { text: standby && sandbox.state === 'ready' ? 'standby' : sandbox.state, style: SANDBOX_STYLE[sandbox.state] }
      : { text: illness.class, style: 'bad' },
    { text: vitals === null || vitals.cpuPercent === null ? '-' : `${vitals.cpuPercent.toFixed(0)}%` },
    { text: vitals === null ? '-' : formatBytes(vitals.residentBytes) },
    { text: orDash(vitals?.threads) },
    { text: orDash(vitals?.descriptors) },
    { text: orDash(requests?.inFlight) },
    { text: rate('done') },
    { text: rate('failed') },
    { text: orDash(score), ...(score !== null && score < 100 ? { style: 'warning' as const } : {}) },
    { text: gate ?? '-' },
    { text: String(incidents), ...(incidents > 0 ? { style: 'warning' as const } : {}) },
  ];
}

function orDash(value: number | null | undefined): string {
  return value === null || value === undefined ? '-' : String(value);
}
