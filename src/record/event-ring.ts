import type { FailureCode } from '../base/failure.ts';
import type { FailureClass } from '../base/failure-class.ts';

/** Something that happened, as people and scripts see it. */
export interface RecordedEvent<Kind extends string> {
  readonly number: number;
  /** Wall clock, ms since 1970. */
  readonly at: number;
  readonly plugin: string | null;
  readonly unit: string | null;
  readonly kind: Kind;
  readonly code: FailureCode | null;
  /** Of the failure that it is about, and the incident that was opened for it. */
  readonly class: FailureClass | null;
  readonly incident: string | null;
  readonly text: string;
}

/** The last events in memory; the journal is the history. */
export class EventRing<Kind extends string> {
  readonly #size: number;
  readonly #events: RecordedEvent<Kind>[] = [];
  readonly #listeners = new Set<(event: RecordedEvent<Kind>) => void>();
  #next = 1;

  constructor(size: number) {
    this.#size = size;
  }

  add(event: Omit<RecordedEvent<Kind>, 'number'>): RecordedEvent<Kind> {
    const numbered = { number: this.#next, ...event };
    this.#next += 1;
    this.#events.push(numbered);
    if (this.#events.length > this.#size) this.#events.shift();
    for (const listener of this.#listeners) listener(numbered);
    return numbered;
  }

  /** Events with a higher number, oldest first, at most `limit`. */
  after(number: number, limit: number): readonly RecordedEvent<Kind>[] {
    return this.#events.filter((event) => event.number > number).slice(0, limit);
  }

  listen(listener: (event: RecordedEvent<Kind>) => void): { release(): void } {
    this.#listeners.add(listener);
    return { release: () => this.#listeners.delete(listener) };
  }
}
