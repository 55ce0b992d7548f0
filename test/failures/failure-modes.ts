import { FAILURE_CLASS_NAMES, FAILURE_CLASSES } from '../../src/base/failure-class.ts';
import { DEATHS } from './deaths.ts';
import { type Distribution, distribution } from './distribution.ts';
import { DEPENDENT, HANGS, LEAKING } from './hangs.ts';
import { OUT_OF_LIMITS, OUT_OF_REACH } from './out-of-limits.ts';
import type { Figure } from './results.ts';
import type { Measured, Row } from './row.ts';

/** `measured.json`: what the suites measured on each machine. */
export interface AllMeasured {
  readonly lab: readonly (Measured | Figure)[];
  readonly vm: readonly (Measured | Figure)[];
}

type Machine = keyof AllMeasured;

const TABLES: readonly { readonly machine: Machine; readonly title: string; readonly rows: readonly Row[] }[] = [
  {
    machine: 'lab',
    title: 'At native speed',
    rows: [...DEATHS, ...HANGS, ...LEAKING, ...DEPENDENT],
  },
  {
    machine: 'vm',
    title: 'On an emulated machine',
    rows: [...OUT_OF_LIMITS, ...OUT_OF_REACH],
  },
];

const INTRODUCTION = `# Failure modes

How a plugin can fail, how that is noticed, how fast, what is done, and what it costs. The rows are those of
\`test/failures\`: each is a plugin that serves under load, is made to fail so, and has to be seen as exactly that; the
times are what those tests measured (\`test/failures/measure\` does it again, and writes this page). All plugins of a table
fail at the same time, on one machine with two processors, which had other work beside: where a time is longer than the
one that 'noticed by' names, the supervisor was late, or kept from judging, and not the rule.

*Noticed* is the time from what was done to the plugin until the incident is opened; where it says so, most of it is a
time that the declaration gives. *Whole* is the time from there until the incident is over: the pool, without a standby, has its size again, and has kept it
for a second. Some fifty sandboxes are started within the same seconds, which is what most of it is; a single one is whole
again in the tenth of a second that a start takes, and the second after it.
*Lost* are the requests of two connections that ended without an answer, for each failure; all of them were in the hands
of the sandbox that failed. The chains are the defaults; man bulkhead-plugin tells how to have others.
`;

/** The whole page. */
export function failureModes(measured: AllMeasured): string {
  const tables = TABLES.map(({ machine, title, rows }) => {
    const of = (row: Row) =>
      measured[machine].filter((each): each is Measured => 'row' in each && each.row === row.name);
    return `## ${title}\n\n${table(rows.map((row) => rowCells(row, of(row))))}`;
  });
  const sections = [...tables, figures(measured), classes()].filter((section) => section !== '');
  return `${INTRODUCTION}\n${sections.join('\n')}`;
}

const HEADINGS = ['what happens', 'seen as', 'noticed by', 'noticed after', 'what is done', 'whole after', 'lost'];

function rowCells({ what, noticedBy, expect }: Row, measured: readonly Measured[]): string[] {
  const lost = measured.map((each) => each.lost);
  return [
    what,
    `\`${expect.class}\`${expect.kind === undefined ? '' : `, ${expect.kind}`}`,
    noticedBy,
    times(distribution(measured.map(({ noticedMs }) => noticedMs))),
    deed(expect),
    times(distribution(measured.map(({ recoveredMs }) => recoveredMs))),
    lost.length === 0 ? 'not measured' : expect.loses === 'nothing' ? 'none' : `${mean(lost).toFixed(1)}`,
  ];
}

function deed({ outcome, loses, class: of }: Row['expect']): string {
  if (outcome === 'quarantined') return 'started again as often as the budget allows, then quarantine';
  if (of === 'unkillable') return 'fenced off, another one in its place';
  return loses === 'nothing' ? 'another one first, then it is asked to stop' : 'another one in its place';
}

function times({ n, p50, p99 }: Distribution): string {
  return n === 0 ? 'not measured' : `${readable(p50)}, p99 ${readable(p99)}, n ${n}`;
}

function readable(ms: number): string {
  return ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function figures(measured: AllMeasured): string {
  const rows = (['lab', 'vm'] as const).flatMap((machine) => {
    const found = measured[machine].filter((each): each is Figure => 'figure' in each);
    const names = [...new Set(found.map(({ figure, isolation }) => `${figure}\n${isolation}`))];
    return names.map((name) => {
      const alike = found.filter(({ figure, isolation }) => `${figure}\n${isolation}` === name);
      const { n, p50, p99, most } = distribution(alike.flatMap((each) => each.times));
      const where = machine === 'lab' ? 'native' : 'emulated';
      return [...name.split('\n'), where, readable(p50), readable(p99), readable(most), String(n)];
    });
  });
  const headings = ['what', 'isolation', 'machine', 'median', 'p99', 'most', 'n'];
  if (rows.length === 0) return '';
  return `## Back to full strength\n\n${table(rows, headings)}`;
}

function classes(): string {
  const rows = FAILURE_CLASS_NAMES.map((name) => [
    `\`${name}\``,
    FAILURE_CLASSES[name].summary,
    FAILURE_CLASSES[name].advice,
  ]);
  const headings = ['class', 'means', 'advice'];
  return `## All classes\n\nOf \`hardware\`, which is of the node and not of a plugin, nothing is measured.\n\n${table(rows, headings)}`;
}

function table(rows: readonly (readonly string[])[], headings: readonly string[] = HEADINGS): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  return `${line(headings)}|${'---|'.repeat(headings.length)}\n${rows.map(line).join('')}`;
}
