import { escapeText } from '../../base/printable.ts';
import type { WhyReport } from '../incident-api.ts';
import { paint } from './colour.ts';
import { IncidentLines } from './incident-lines.ts';
import { PLUGIN_LOOK } from './state.ts';
import type { TableOptions } from './table.ts';
import { formatSpan } from './time.ts';
import { changeLines, isAboutChange, underWayLines } from './why-change.ts';
import { shorten, wrap } from './width.ts';

/** A screen of the oldest terminals has 25 lines, one of which is the prompt. */
const MOST_LINES = 24;
const MOST_EVIDENCE = 8;
const MOST_DEEDS = 4;

/** One screen about one plugin: how it is, what failed last, why that is believed, what was done, what to do. */
export function renderWhy(report: WhyReport, options: TableOptions): string {
  for (let evidence = MOST_EVIDENCE; ; evidence--) {
    const lines = allLines(report, options, evidence);
    if (lines.length <= MOST_LINES || evidence === 1) return lines.map((line) => `${line}\n`).join('');
  }
}

function allLines(report: WhyReport, options: TableOptions, evidence: number): string[] {
  const title = (text: string): string => paint(text, 'strong', options.colour);
  const { last, lately } = report;
  const lines = [...standing(report, options), ...underWayLines(report, options)];
  if (isAboutChange(report)) return [...lines, ...changeLines(report, options, evidence)];
  if (last === null) return [...lines, 'Nothing has failed, as far as is remembered.'];
  const about = new IncidentLines(last, options);
  const commands = [`bulkheadctl incidents show ${last.incident.id}`];
  if (report.quarantined) commands.push(`bulkheadctl release ${report.name}   (when the cause is corrected)`);
  lines.push(`${title('Last failure:')} ${about.head}`, ...about.cause);
  lines.push(title('Evidence:'), ...about.evidence(evidence), ...about.excuses, ...about.requests);
  lines.push(title('Done:'), ...about.done(MOST_DEEDS));
  lines.push(title('What to do:'), ...about.advice, ...commands.map((command) => `  ${command}`));
  if (lately.length > 0) {
    const counts = lately.map(({ class: name, count }) => `${count} ${name}`).join(', ');
    lines.push(shorten(`Before it, within a day: ${counts}`, options.columns));
  }
  return lines;
}

/** How it is now. */
function standing({ name, state, line, reason, wellForMs, quarantined }: WhyReport, options: TableOptions): string[] {
  const { dot, style } = PLUGIN_LOOK[state];
  const word = quarantined ? `${state}, in quarantine` : state;
  const first = `${name}: ${word}, ${line}`;
  const lines = [`${paint(dot, style, options.colour)} ${shorten(escapeText(first), options.columns - 2)}`];
  if (wellForMs !== null && reason === null) lines.push(`  It is well, for ${formatSpan(wellForMs)} now.`);
  if (reason !== null) {
    const text = `${reason.code}: ${reason.advice}`;
    lines.push(...wrap(escapeText(text), Math.min(options.columns, 120) - 2).map((each) => `  ${each}`));
  }
  return lines;
}
