import { formatBytes } from '../../base/bytes.ts';
import { formatDuration } from '../../base/duration.ts';
import { type TroubleKind, usedPercent } from '../../diagnose/node-health.ts';
import type { NodeReport } from '../api.ts';
import type { Cell, TableOptions } from './table.ts';
import { renderTable } from './table.ts';
import { formatSpan } from './time.ts';

/** What was seen, beside what is allowed. `now`: milliseconds since 1970. */
export function renderNode(report: NodeReport, now: number, options: TableOptions): string {
  const { at, facts, thresholds, troubles, failure } = report;
  const lines = [
    at === null ? 'Not looked at yet.' : `Looked at ${formatSpan(now - at)} ago, ${often(thresholds.everyMs)}.`,
    ...(failure === null ? [] : [`The last look failed: ${failure.code} ${failure.text}`]),
  ];
  if (facts === null) return `${lines.join('\n')}\n`;
  const state = (kind: TroubleKind, gpu: string | null = null): Cell =>
    troubles.some((trouble) => trouble.kind === kind && trouble.gpu === gpu)
      ? { text: 'ILL', style: 'bad' }
      : { text: 'ok', style: 'good' };
  const { temperature, memory, load, cpus } = facts;
  const row = (what: string, seen: string | null, limit: string, kind: TroubleKind, gpu?: string): Cell[] => [
    { text: what },
    { text: seen ?? 'not known' },
    { text: limit },
    seen === null ? { text: '-', style: 'dim' } : state(kind, gpu),
  ];
  const used = memory === null ? null : `${usedPercent(memory)}% of ${formatBytes(memory.totalBytes)}`;
  const rows = [
    row('temperature', degrees(temperature), degrees(thresholds.temperature) ?? '', 'temperature'),
    row('memory', used, thresholds.memory === 'infinity' ? 'infinity' : `${thresholds.memory}%`, 'memory'),
    row('load', load === null ? null : `${load.toFixed(2)} on ${cpus ?? '?'} CPUs`, loadLimit(thresholds.load), 'load'),
    ...facts.gpus.flatMap(({ bus, model, temperature: heat, uncorrectedErrors, xid }) => [
      row(`GPU ${bus} ${model}`, degrees(heat), degrees(thresholds.gpuTemperature) ?? '', 'gpu-temperature', bus),
      row(`GPU ${bus} errors`, errors(uncorrectedErrors, xid), 'new ones', 'gpu-errors', bus),
    ]),
  ];
  const columns = [{ title: 'WHAT', shrinkTo: 12 }, { title: 'SEEN' }, { title: 'LIMIT' }, { title: 'STATE' }];
  return `${lines.join('\n')}\n\n${renderTable(columns, rows, options)}`;
}

function often(everyMs: number | 'infinity'): string {
  return everyMs === 'infinity' ? 'and not again' : `every ${formatDuration(everyMs)}`;
}

function degrees(value: number | 'infinity' | null): string | null {
  return typeof value === 'number' ? `${value} °C` : value;
}

function loadLimit(load: number | 'infinity'): string {
  return load === 'infinity' ? load : `${load} for each CPU`;
}

function errors(uncorrected: number | null, xid: number | null): string | null {
  const parts = [
    ...(uncorrected === null ? [] : [`${uncorrected} not corrected`]),
    ...(xid === null ? [] : [`Xid ${xid}`]),
  ];
  return parts.length === 0 ? null : parts.join(', ');
}
