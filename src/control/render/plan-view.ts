import { escapeText } from '../../base/printable.ts';
import type { ChangeWay } from '../../plan/changes.ts';
import type { PlanReport, PlanSection } from '../api.ts';
import { paint } from './colour.ts';
import type { TableOptions } from './table.ts';
import { displayWidth } from './width.ts';

/** Keys longer than this push their value to the right instead of all values of the section. */
const KEY_WIDTH = 28;

/** A plan for people: every planned thing with where it came from, then how what runs differs from it. */
export function renderPlan(report: PlanReport, options: TableOptions): string {
  const version = report.version === null ? '' : `, version ${escapeText(report.version)}`;
  const head = `${paint(report.plugin, 'strong', options.colour)}${version}, digest ${escapeText(report.digest)}\n`;
  return [head, ...report.sections.map((section) => renderSection(section, options)), difference(report, options)].join(
    '\n',
  );
}

/** Values are never cut: nothing is done that the plan does not show, and the terminal may wrap. */
function renderSection(section: PlanSection, options: TableOptions): string {
  const width = Math.min(KEY_WIDTH, Math.max(0, ...section.rows.map((row) => displayWidth(escapeText(row.key)))));
  const lines = section.rows.map((row) => {
    const key = escapeText(row.key);
    const origin = row.origin === '' ? '' : `  ${paint(`# ${escapeText(row.origin)}`, 'dim', options.colour)}`;
    return `  ${key}${' '.repeat(Math.max(0, width - displayWidth(key)))}  ${escapeText(row.value)}${origin}\n`;
  });
  const title = paint(escapeText(section.title), 'strong', options.colour);
  return `${title}\n${lines.length === 0 ? '  nothing\n' : lines.join('')}`;
}

function difference(report: PlanReport, options: TableOptions): string {
  const title = paint('difference to what runs', 'strong', options.colour);
  if (!report.compared) {
    return `${title}\n  not compared: the supervisor does not answer, so this is what the declaration asks for\n`;
  }
  if (report.differences.length === 0) return `${title}\n  none\n`;
  const lines = [...report.differences, ...reloadLines(report)];
  return `${title}\n${lines.map((each) => `  ${paint(escapeText(each), 'warning', options.colour)}\n`).join('')}`;
}

const RELOAD: Readonly<Record<ChangeWay, string>> = {
  now: 'nothing that runs is touched',
  live: 'what runs goes on with other limits',
  'in-place': 'what runs sees the other version, and is told',
  beside: 'new sandboxes come beside the old ones, with a canary as declared, and no request is lost',
};

/** What "systemctl reload plugin@NAME" comes to. */
function reloadLines({ plugin, reload }: PlanReport): string[] {
  if (reload?.way == null) return [];
  const refused =
    reload.refused === null
      ? []
      : [
          `but a reload does not try it by itself, because ${reload.refused}; "bulkheadctl upgrade ${plugin} --force" does`,
        ];
  return [`in all, "systemctl reload plugin@${plugin}": ${RELOAD[reload.way]}`, ...refused];
}
