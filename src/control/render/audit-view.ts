import type { Finding, Verdict } from '../../audit/finding.ts';
import { escapeText } from '../../base/printable.ts';
import type { AuditReport } from '../api.ts';
import { paint, type Style } from './colour.ts';
import { type Column, renderTable, type TableOptions } from './table.ts';

const STYLES: Readonly<Record<Verdict, Style>> = {
  holds: 'good',
  broken: 'bad',
  unknown: 'warning',
  'not-enforced': 'warning',
};

const COLUMNS: readonly Column[] = [{ title: 'WALL' }, { title: 'VERDICT' }, { title: 'SEEN' }];

/**
 * A table for each sandbox. What holds is shown with what was seen, or with `all` also with what was wanted. What does
 * not hold is never cut.
 */
export function renderAudit(report: AuditReport, options: TableOptions, all: boolean): string {
  const head = (text: string): string => paint(escapeText(text), 'strong', options.colour);
  const skipped = report.notCompared.map(({ unit, why }) => `not compared: ${escapeText(unit)}: ${escapeText(why)}\n`);
  if (report.verdict === null)
    return `${skipped.join('')}${escapeText(report.plugin)}: ${report.state}, no sandbox to compare\n`;
  const groups = [
    { title: 'slice', findings: report.slice },
    ...report.sandboxes.map(({ unit, processes, findings }) => ({
      title: `${unit}, processes: ${processes}`,
      findings,
    })),
  ];
  const tables = groups.map(({ title, findings }) => `${head(title)}\n${table(findings, options, all)}`);
  return [...tables, `${skipped.join('')}${sum(groups.flatMap(({ findings }) => findings))}`].join('\n');
}

function table(findings: readonly Finding[], options: TableOptions, all: boolean): string {
  const rows = findings.map(({ wall, verdict, wanted, seen }) => [
    { text: wall },
    { text: verdict, style: STYLES[verdict] },
    { text: verdict === 'holds' && !all ? seen : `${seen} (wanted: ${wanted})` },
  ]);
  return renderTable(COLUMNS, rows, { ...options, columns: Number.POSITIVE_INFINITY, indent: 2 });
}

function sum(findings: readonly Finding[]): string {
  const count = (verdict: Verdict): number => findings.filter((each) => each.verdict === verdict).length;
  return `holds ${count('holds')}, broken ${count('broken')}, unknown ${count('unknown')}, not enforced ${count('not-enforced')}\n`;
}
