import type { Owned } from '../base/clock.ts';
import { asFailure } from '../base/failure.ts';
import type { EventRecord } from './api.ts';
import { EventCursor } from './event-cursor.ts';
import type { Manager } from './manager.ts';

/** Events fetched with one call; the supervisor keeps as many. */
const BATCH = 1000;

export interface FeedReader {
  /** Every event once, in order. */
  event(record: EventRecord): void;
  /** Events that are not in the supervisor's ring any more could not be shown. */
  missed(count: number): void;
  lost(): void;
  back(): void;
}

/** Reads events, now and as they come: one fetch at a time, so that the order is kept. */
export class EventFeed implements Owned {
  /** Rejects when the supervisor refuses to tell events; a lost connection is waited out instead. */
  readonly failed: Promise<never>;
  readonly #manager: Manager;
  readonly #cursor: EventCursor;
  readonly #reader: FeedReader;
  #fail: (reason: unknown) => void = () => {};
  #watch: Owned | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #released = false;

  /** Begins after the event with the number `after`. */
  constructor(manager: Manager, after: number, reader: FeedReader) {
    this.#manager = manager;
    this.#cursor = new EventCursor(after);
    this.#reader = reader;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Who does not wait for it does not want to know.
    this.failed.catch(() => {});
  }

  /** Shows what there is and goes on with what comes, until released. */
  async follow(): Promise<void> {
    this.#watch = await this.#manager.watch({
      added: () => this.#fetch(),
      lost: () => this.#reader.lost(),
      back: () => {
        this.#reader.back();
        this.#cursor.reconnect();
        this.#fetch();
      },
    });
    await this.catchUp();
  }

  /** Shows what there is. When that is under way already, it is done once more, and both wait for the end. */
  catchUp(): Promise<void> {
    this.#again = true;
    this.#running ??= this.#fetchUntilDone().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Nothing is shown after this. */
  release(): void {
    this.#released = true;
    this.#watch?.release();
    this.#watch = undefined;
  }

  async #fetchUntilDone(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      await this.#fetchAll();
    }
  }

  async #fetchAll(): Promise<void> {
    for (;;) {
      const records = await this.#manager.events(this.#cursor.last, BATCH);
      if (this.#released) return;
      const missing = this.#cursor.missingBefore(records);
      if (missing > 0) this.#reader.missed(missing);
      for (const record of this.#cursor.take(records)) this.#reader.event(record);
      if (records.length < BATCH) return;
    }
  }

  #fetch(): void {
    this.catchUp().catch((thrown: unknown) => {
      const { code } = asFailure(thrown);
      // Away for now: `back` fetches again.
      if (code !== 'BH402' && code !== 'BH501' && code !== 'BH502') this.#fail(thrown);
    });
  }
}
