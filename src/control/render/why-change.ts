import { FAILURES } from '../../base/failure.ts';
import { escapeText } from '../../base/printable.ts';
import type { WhyReport } from '../incident-api.ts';
import type { Because, UpgradeOutcomeStatus } from '../upgrade-api.ts';
import { paint } from './colour.ts';
import { IncidentLines } from './incident-lines.ts';
import type { TableOptions } from './table.ts';
import { formatMoment } from './time.ts';
import { renderRows, wayText } from './upgrade-view.ts';
import { shorten, wrap } from './width.ts';

const WIDEST = 120;
/** Kinds of incidents of upgrades that the judge undid. */
const JUDGED = ['judged', 'not-judged'];
/** Lines. */
const MOST_OF_REASON = 4;

/** Whether a change of version is the last thing that went wrong. */
export function isAboutChange({ last, lastUpgrade }: WhyReport): boolean {
  if (lastUpgrade === null || lastUpgrade.outcome === 'promoted') return false;
  return last === null || lastUpgrade.incident === last.incident.id || lastUpgrade.at >= last.incident.at;
}

/** A change that is under way. */
export function underWayLines({ name, upgrade }: WhyReport, { columns }: TableOptions): string[] {
  if (upgrade === null) return [];
  return [shorten(escapeText(`  ${upgrade.line}; "bulkheadctl upgrade ${name}" shows it.`), columns)];
}

/** A change that did not come to its end: why, what was seen of both sides, what was done, and what to do. */
export function changeLines(report: WhyReport, options: TableOptions, evidence: number): string[] {
  const { name, last, lastUpgrade: change } = report;
  if (change === null) return [];
  const title = (text: string): string => paint(text, 'strong', options.colour);
  const width = Math.min(options.columns, WIDEST) - 2;
  const indented = (text: string): string[] => wrap(escapeText(text), width).map((line) => `  ${line}`);
  const { reason, rows, incident } = change;
  const gravest = [...rows].sort((one, other) => Number(other.bad) - Number(one.bad)).slice(0, evidence);
  return [
    `${title('Last change of version:')} ${shorten(escapeText(head(change)), options.columns - 24)}`,
    shorten(`  ${escapeText(asked(change))}`, options.columns),
    ...(reason === null ? [] : indented(because(reason)).slice(0, MOST_OF_REASON)),
    ...(rows.length === 0
      ? []
      : [title('Seen of both sides:'), ...lines(renderRows(gravest, { ...options, indent: 2 }))]),
    // Of a judgement the evidence is what was seen of both sides.
    ...(incident === null || incident !== last?.incident.id || JUDGED.includes(last.incident.verdict.kind ?? '')
      ? []
      : [title('Evidence:'), ...new IncidentLines(last, options).evidence(evidence)]),
    title('Done:'),
    ...indented(done(change)),
    title('What to do:'),
    ...indented(advice(name, change)),
    ...(incident === null ? [] : [`  bulkheadctl incidents show ${incident}`]),
  ];
}

function because({ code, text }: Because): string {
  return `${code} ${FAILURES[code].summary}: ${text}`;
}

function lines(text: string): string[] {
  return text.split('\n').slice(0, -1);
}

function head(change: UpgradeOutcomeStatus): string {
  const { id, outcome, at } = change;
  const word = {
    promoted: 'is live',
    'rolled-back': 'was rolled back',
    refused: 'was refused',
    aborted: 'was given up',
  };
  return `${wayText(change)} ${word[outcome]}, ${formatMoment(at).slice(0, -'.000'.length)}, ${id}`;
}

function asked({ kind, by, why }: UpgradeOutcomeStatus): string {
  return `${kind} asked for by ${by}${why === null ? '' : `: ${why}`}`;
}

function done({ outcome, from, to }: UpgradeOutcomeStatus): string {
  if (outcome === 'refused') return 'Nothing was started.';
  const serves = `${from ?? 'What was live before'} serves, with all new connections`;
  if (outcome === 'aborted')
    return `The plugin ended before it was over; ${from ?? 'what was live before'} is what starts.`;
  return `${serves}; ${to ?? 'the new side'} was ended, and is not tried again by itself.`;
}

function advice(name: string, { outcome, reason, to, kind }: UpgradeOutcomeStatus): string {
  if (outcome === 'refused') return reason === null ? 'Ask again.' : `${sentence(FAILURES[reason.code].advice, name)}.`;
  if (outcome === 'aborted')
    return `Ask again when it runs: "bulkheadctl upgrade ${name}${to === null ? '' : ` ${to}`}".`;
  if (kind === 'reload')
    return `Correct the declaration, then "systemctl reload plugin@${name}"; "bulkheadctl upgrade ${name} --force" tries this one again.`;
  return `Correct it and install it as another version; "bulkheadctl upgrade ${name} ${to ?? 'VERSION'} --force" tries this one again.`;
}

function sentence(text: string, name: string): string {
  return (text.charAt(0).toUpperCase() + text.slice(1)).replaceAll(/\bNAME\b/g, name);
}
