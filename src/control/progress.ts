import type { Clock, Owned } from '../base/clock.ts';
import { escapeText } from '../base/printable.ts';
import type { EventRecord } from './api.ts';
import { renderEvent } from './render/event-line.ts';
import { formatSpan } from './render/time.ts';
import { shorten } from './render/width.ts';
import type { Terminal } from './terminal.ts';

/** How often the elapsed time is redrawn, ms: often enough to look alive. */
const REDRAW_MS = 500;
const CLEAR_LINE = '\r\u001b[K';

/**
 * Shows what happens while a job runs: on a terminal one line that is redrawn in place and gone at the end, elsewhere
 * one line for each event. Nothing is drawn before the first event: a password may be asked for until then.
 */
export class Progress implements Owned {
  readonly #title: string;
  readonly #terminal: Terminal;
  readonly #clock: Clock;
  readonly #begun: number;
  #latest = '';
  #timer: Owned | undefined;

  constructor(title: string, terminal: Terminal, clock: Clock) {
    this.#title = title;
    this.#terminal = terminal;
    this.#clock = clock;
    this.#begun = clock.now();
  }

  tell(event: EventRecord): void {
    if (!this.#terminal.interactive) this.#terminal.write(renderEvent(event, false));
    else this.note(`${event.kind}: ${event.text}`);
  }

  note(text: string): void {
    this.#latest = escapeText(text);
    if (this.#terminal.interactive) this.#draw();
    else this.#terminal.write(`${this.#latest}\n`);
  }

  release(): void {
    this.#timer?.release();
    this.#timer = undefined;
    if (this.#latest !== '' && this.#terminal.interactive) this.#terminal.write(CLEAR_LINE);
  }

  #draw(): void {
    const elapsed = formatSpan(this.#clock.now() - this.#begun);
    const line = `${this.#title} (${elapsed})${this.#latest === '' ? '' : `: ${this.#latest}`}`;
    this.#terminal.write(CLEAR_LINE + shorten(line, this.#terminal.columns - 1));
    this.#timer?.release();
    this.#timer = this.#clock.after(REDRAW_MS, () => this.#draw());
  }
}
