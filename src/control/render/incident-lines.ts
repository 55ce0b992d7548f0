import { escapeText } from '../../base/printable.ts';
import type { IncidentStep } from '../../record/stored-incident.ts';
import type { IncidentStory } from '../incident-api.ts';
import { paint } from './colour.ts';
import type { TableOptions } from './table.ts';
import { formatMoment } from './time.ts';
import { shorten, wrap } from './width.ts';

/** Terminals narrower than this wrap lines by themselves. */
const NARROWEST = 60;

/** Lines of one incident, by part, escaped and cut or wrapped to the terminal. */
export class IncidentLines {
  readonly #story: IncidentStory;
  readonly #options: TableOptions;
  readonly #width: number;

  constructor(story: IncidentStory, options: TableOptions) {
    this.#story = story;
    this.#options = options;
    this.#width = Math.max(NARROWEST, options.columns);
  }

  /** `hang (blocked) of a-g7, v1, 2026-11-25 21:34:00`. */
  get head(): string {
    const { verdict, at, slot, generation, version } = this.#story.incident;
    const kind = verdict.kind === undefined ? '' : ` (${escapeText(verdict.kind)})`;
    const name = paint(`${verdict.class}${kind}`, 'bad', this.#options.colour);
    const which = generation === undefined ? '' : ` of ${slot}-g${generation}`;
    const when = formatMoment(at).slice(0, -'.000'.length);
    return `${name}${which}${version === undefined ? '' : `, ${escapeText(version)}`}, ${when}`;
  }

  /** What was seen, and what its class means. */
  get cause(): string[] {
    const { incident, summary } = this.#story;
    const sure = incident.verdict.confidence >= 0.9 ? '' : ` (${Math.round(incident.verdict.confidence * 100)}% sure)`;
    return [...this.#wrapped(`${incident.verdict.text}${sure}`), ...this.#wrapped(`It means: ${summary}.`)];
  }

  evidence(most: number): string[] {
    const { evidence } = this.#story.incident.verdict;
    const shown = evidence.slice(0, evidence.length > most ? most - 1 : most);
    const left = Math.max(0, ...shown.map(({ what }) => what.length));
    const lines = shown.map(({ what, value }) => this.#cut(`${what.padEnd(left)}  ${value}`));
    return shown.length < evidence.length ? [...lines, `  and ${evidence.length - shown.length} more`] : lines;
  }

  /** Harmless explanations that were looked into. */
  get excuses(): string[] {
    const { excuses } = this.#story.incident.verdict;
    const [ruledOut, apply] = [false, true].map((which) => excuses.filter(({ applies }) => applies === which));
    const names = (ruledOut ?? []).map(({ excuse }) => excuse.replaceAll('-', ' ')).join(', ');
    return [
      ...(names === '' ? [] : [this.#cut(`not because of: ${names}`)]),
      ...(apply ?? []).map(({ excuse, detail }) => this.#cut(`though: ${excuse.replaceAll('-', ' ')}: ${detail}`)),
    ];
  }

  get requests(): string[] {
    const { traceIds } = this.#story.incident.verdict;
    if (traceIds.length === 0) return [];
    const [first = '', ...others] = traceIds;
    const more = others.length === 0 ? '' : ` and ${others.length} more`;
    return [this.#cut(`requests in its hands: ${first}${more}`)];
  }

  /** What was decided, then the last of what became of it. */
  done(most: number): string[] {
    const { incident, steps, over } = this.#story;
    const { index, of, kind } = incident.step;
    const first = { at: incident.at, text: `${incident.action} (step ${index + 1} of ${of}: ${kind})` };
    const all = [...steps, over ?? { at: Number.NaN, text: 'not over yet' }];
    const tooMany = all.length > most - 1;
    const shown = tooMany ? all.slice(2 - most) : all;
    const line = ({ at, text }: IncidentStep): string => this.#cut(`${clock(at)}  ${text}`);
    const skipped = tooMany ? [`  and ${all.length - shown.length} more`] : [];
    return [line(first), ...skipped, ...shown.map(line)];
  }

  get advice(): string[] {
    return this.#wrapped(`${this.#story.advice}.`);
  }

  #cut(text: string): string {
    return `  ${shorten(escapeText(text), this.#width - 2)}`;
  }

  #wrapped(text: string): string[] {
    return wrap(escapeText(text), Math.min(this.#width, 120) - 2).map((line) => `  ${line}`);
  }
}

/** `21:34:00.123`, or spaces for no time. */
function clock(at: number): string {
  return Number.isNaN(at) ? ' '.repeat(12) : formatMoment(at).slice(11);
}
