import { escapeText } from '../../base/printable.ts';
import type { EventKind, EventRecord } from '../api.ts';
import { paint, type Style } from './colour.ts';
import { formatMoment } from './time.ts';

const STYLES: Partial<Record<EventKind, Style>> = {
  ready: 'good',
  adopted: 'good',
  died: 'bad',
  'start-failed': 'bad',
  incident: 'bad',
  quarantined: 'bad',
  fenced: 'bad',
  recovered: 'good',
  promoted: 'good',
  failed: 'bad',
  upgraded: 'good',
  'rolled-back': 'bad',
  'upgrade-refused': 'warning',
  'upgrade-aborted': 'warning',
  'backing-off': 'warning',
  limit: 'warning',
  declaration: 'warning',
};

/** One event on one line: when, whose, what. It is never cut: it is a log line, and the terminal may wrap it. */
export function renderEvent(event: EventRecord, colour: boolean): string {
  const whose = escapeText(event.unit ?? event.plugin ?? 'bulkheadd');
  const code = event.code === null ? '' : `${event.code} `;
  const kind = paint(event.kind, STYLES[event.kind], colour);
  const failure = event.class === null ? '' : ` (${event.class})`;
  return `${paint(formatMoment(event.at), 'dim', colour)} ${whose} ${kind}${failure}: ${code}${escapeText(event.text)}\n`;
}
