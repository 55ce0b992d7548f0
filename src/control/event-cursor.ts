import type { EventRecord } from './api.ts';

/** Which events were shown already. Pure; the caller fetches what it says is missing. */
export class EventCursor {
  #last: number;
  #lastAt = Number.NEGATIVE_INFINITY;
  /** The last event shown before the connection was lost, until it is known whether the numbers began anew. */
  #before: { readonly number: number; readonly at: number } | undefined;

  constructor(after: number) {
    this.#last = after;
  }

  /** The number to ask for events after. */
  get last(): number {
    return this.#last;
  }

  /** How many events between the last one shown and these are not remembered any more. */
  missingBefore(records: readonly EventRecord[]): number {
    const first = records[0];
    // From 0 on, and after a reconnection, it is not known what there was.
    return first === undefined || this.#last === 0 ? 0 : Math.max(0, first.number - this.#last - 1);
  }

  /** The records that were not shown yet; from now on they count as shown. */
  take(records: readonly EventRecord[]): EventRecord[] {
    const isShown = this.#shownBefore(records);
    const fresh = records.filter((record) => record.number > this.#last && !isShown(record));
    for (const record of records) {
      this.#last = Math.max(this.#last, record.number);
      this.#lastAt = Math.max(this.#lastAt, record.at);
    }
    return fresh;
  }

  /** The connection was lost and made again: a new supervisor counts from 1 again, the same one goes on counting. */
  reconnect(): void {
    if (this.#lastAt > Number.NEGATIVE_INFINITY) this.#before = { number: this.#last, at: this.#lastAt };
    this.#last = 0;
  }

  /** Numbers tell when the last event shown is still in the ring; the time tells when a new supervisor counts anew. */
  #shownBefore(records: readonly EventRecord[]): (record: EventRecord) => boolean {
    const before = this.#before;
    if (before === undefined || records.length === 0) return () => false;
    this.#before = undefined;
    const same = records.some((record) => record.number === before.number && record.at === before.at);
    return same ? (record) => record.number <= before.number : (record) => record.at <= before.at;
  }
}
