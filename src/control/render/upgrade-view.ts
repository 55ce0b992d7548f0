import { formatBytes } from '../../base/bytes.ts';
import { escapeText } from '../../base/printable.ts';
import type {
  JudgementRow,
  JudgementStatus,
  SideStatus,
  UpgradeOutcomeStatus,
  UpgradeStatus,
  UpgradeStep,
} from '../upgrade-api.ts';
import { paint, type Style } from './colour.ts';
import { type Cell, renderTable, type TableOptions } from './table.ts';
import { formatSpan } from './time.ts';
import { shorten } from './width.ts';

/** What people see of the steps: short, so that all of them fit a line. */
const SHOWN = {
  planning: 'plan',
  verifying: 'verify',
  preparing: 'start',
  starting: 'start',
  canary: 'canary',
  switching: 'switch',
  baking: 'bake',
  committing: 'commit',
  draining: 'drain',
} as const satisfies Partial<Record<UpgradeStep, string>>;

const STEPS: Readonly<Record<UpgradeStatus['way'], readonly (typeof SHOWN)[keyof typeof SHOWN][]>> = {
  beside: ['plan', 'verify', 'start', 'canary', 'commit', 'drain'],
  'in-place': ['plan', 'verify', 'switch', 'bake', 'commit', 'drain'],
};

/** A change that is under way: its steps, both sides and what is made of them; some 12 lines. */
export function renderUpgrade(plugin: string, upgrade: UpgradeStatus, options: TableOptions): string {
  const why = upgrade.why === null ? '' : `: ${upgrade.why}`;
  const head = `${plugin}: ${upgrade.line}`;
  const origin = `${upgrade.kind} ${upgrade.id}, asked for by ${upgrade.by}${why}, ${formatSpan(upgrade.sinceMs)} ago`;
  return [
    `${paint(shorten(escapeText(head), options.columns), 'strong', options.colour)}\n`,
    `  ${shorten(escapeText(origin), options.columns - 2)}\n`,
    `  ${steps(upgrade, options)}\n`,
    renderSides(upgrade, { ...options, indent: 2 }),
    ...(upgrade.judgement === null ? [] : [renderJudgement(upgrade.judgement, options)]),
  ].join('');
}

function steps({ step, way, undo, stage, stages }: UpgradeStatus, { colour, columns }: TableOptions): string {
  if (step === 'undoing') {
    const text = undo === null ? '' : `: ${undo.code} ${undo.text}`;
    return paint(shorten(escapeText(`being undone${text}`), columns - 2), 'bad', colour);
  }
  const at = STEPS[way].indexOf(SHOWN[step]);
  return STEPS[way]
    .map((name, index) => {
      const which =
        name === 'canary' && index === at ? ` ${stages[stage] ?? 100}% (${stage + 1} of ${stages.length})` : '';
      if (index < at) return paint(`✓ ${name}`, 'good', colour);
      return index === at ? paint(`▸ ${name}${which}`, 'busy', colour) : paint(name, 'dim', colour);
    })
    .join('  ');
}

function renderSides(upgrade: UpgradeStatus, options: TableOptions): string {
  return renderTable(
    [
      { title: 'SIDE' },
      { title: 'VERSION', shrinkTo: 6 },
      { title: 'SLOT', dropRank: 4 },
      { title: 'WEIGHT', align: 'right' },
      { title: 'READY', align: 'right' },
      { title: 'REQUESTS', align: 'right', dropRank: 1 },
      { title: 'ERRORS', align: 'right', dropRank: 1 },
      { title: 'MEDIAN', align: 'right', dropRank: 2 },
      { title: 'P99', align: 'right', dropRank: 2 },
      { title: 'MEMORY', align: 'right', dropRank: 3 },
      { title: 'DEATHS', align: 'right', dropRank: 3 },
    ],
    [side('old', upgrade.old), side('new', upgrade.new)],
    options,
  );
}

function side(name: string, { version, slot, weight, ready, wanted, signals }: SideStatus): Cell[] {
  return [
    { text: name },
    { text: version ?? '-' },
    { text: slot },
    { text: `${weight}%` },
    { text: `${ready}/${wanted}`, style: ready < wanted ? 'warning' : 'good' },
    { text: orDash(signals?.requests) },
    { text: orDash(signals?.errors) },
    { text: milliseconds(signals?.medianMs) },
    { text: milliseconds(signals?.p99Ms) },
    { text: signals?.memoryBytes == null ? '-' : formatBytes(signals.memoryBytes) },
    { text: orDash(signals?.deaths) },
  ];
}

const VERDICT_STYLE: Readonly<Record<JudgementStatus['verdict'], Style>> = {
  good: 'good',
  bad: 'bad',
  few: 'warning',
};

function renderJudgement({ verdict, reason, rows }: JudgementStatus, options: TableOptions): string {
  const word = { good: 'good so far', bad: 'bad', few: 'too few requests to judge' }[verdict];
  const text = reason === null ? word : `${word}: ${reason.text}`;
  const line = shorten(escapeText(`judged: ${text}`), options.columns - 2);
  return `  ${paint(line, VERDICT_STYLE[verdict], options.colour)}\n${renderRows(rows, { ...options, indent: 4 })}`;
}

/** How a judgement says that a signal is not judged. */
const ANYTHING = 'any';

/** Both sides signal by signal, beside what the new one may be. */
export function renderRows(rows: readonly JudgementRow[], options: TableOptions): string {
  if (rows.length === 0) return '';
  return renderTable(
    [
      { title: 'SIGNAL' },
      { title: 'OLD', align: 'right' },
      { title: 'NEW', align: 'right' },
      { title: 'MAY BE', shrinkTo: 10, dropRank: 1 },
    ],
    rows.map((row) => [
      { text: row.signal },
      { text: row.old },
      { text: row.new, ...(row.bad ? { style: 'bad' as const } : {}) },
      { text: row.enough || row.bound === ANYTHING ? row.bound : `${row.bound} (too few to tell)` },
    ]),
    options,
  );
}

const OUTCOME: Readonly<Record<UpgradeOutcomeStatus['outcome'], { readonly text: string; readonly style: Style }>> = {
  promoted: { text: 'is live', style: 'good' },
  'rolled-back': { text: 'was rolled back', style: 'bad' },
  refused: { text: 'was refused, nothing was started', style: 'bad' },
  aborted: { text: 'was given up, because the plugin did not run on', style: 'warning' },
};

/** What became of it, on one line. */
export function renderOutcome(plugin: string, outcome: UpgradeOutcomeStatus, colour: boolean): string {
  const { to, reason } = outcome;
  const { text, style } = OUTCOME[outcome.outcome];
  const because = reason === null ? '' : `: ${reason.code} ${reason.text}`;
  const what = outcome.outcome === 'promoted' ? `${to ?? 'the new side'} ${text}` : `${wayText(outcome)} ${text}`;
  return `${paint(outcome.outcome === 'promoted' ? '●' : '×', style, colour)} ${escapeText(`${plugin}: ${what}${because}`)}\n`;
}

/** `v1 -> v2`; a change that keeps the version has only one. */
export function wayText({ from, to, kind }: Pick<UpgradeOutcomeStatus, 'from' | 'to' | 'kind'>): string {
  if (from !== to) return `${from ?? '-'} -> ${to ?? '-'}`;
  return to === null ? kind : `${kind} of ${to}`;
}

function orDash(value: number | null | undefined): string {
  return value == null ? '-' : String(value);
}

function milliseconds(value: number | null | undefined): string {
  if (value == null) return '-';
  return value < 10 ? `${Number(value.toFixed(1))}ms` : `${Math.round(value)}ms`;
}
