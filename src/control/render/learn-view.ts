import { escapeText } from '../../base/printable.ts';
import type { LearnReport } from '../api.ts';

/** What a run showed, for people; `saved` is the file that the list was written into. */
export function renderLearned(report: LearnReport, saved: string | undefined): string {
  const { plugin, seconds, calls, filter, ended, lines, proposed } = report;
  const early = ended === null ? '' : `; it ended before: ${escapeText(ended)}`;
  const idle = report.served
    ? ''
    : 'It accepted no connection: what it does for its clients was not seen. Connections that are open stay where they are.\n';
  return [
    `${escapeText(plugin)}: ${calls} different calls within ${seconds} s${early}\n`,
    idle,
    part(`Not allowed by '${filter}', and called`, report.missing),
    part('Refused while learning, for no profile allows them', report.refused),
    part(`Allowed by '${filter}', and not called`, report.unused),
    `\nProposed: ${proposed.length} lines instead of ${lines}\n`,
    saved === undefined ? indented(report.list) : `Written to ${escapeText(saved)}\n`,
  ].join('');
}

function part(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `\n${title}:\n${indented(lines.join('\n'))}`;
}

function indented(text: string): string {
  return `${text
    .trimEnd()
    .split('\n')
    .map((line) => (line === '' ? '' : `  ${escapeText(line)}`))
    .join('\n')}\n`;
}
