import type { Clock, Owned } from '../base/clock.ts';
import type { Supervisor } from './api.ts';

/** Signals are at least this far apart, ms: a storm of 500 failures becomes a handful of messages. */
export const WINDOW_MS = 100;

/**
 * Tells that there are new events, by the number of the newest: the first at once, those of the following window
 * together at its end. The events themselves are not in the signal, because everybody on the bus may listen to signals,
 * while GetEvents asks polkit.
 */
export class EventSignal implements Owned {
  readonly #clock: Clock;
  readonly #emit: (newest: number) => void;
  readonly #source: Owned;
  #newest: number | undefined;
  #window: Owned | undefined;

  constructor(supervisor: Pick<Supervisor, 'onEvent'>, clock: Clock, emit: (newest: number) => void) {
    this.#clock = clock;
    this.#emit = emit;
    this.#source = supervisor.onEvent(({ number }) => {
      this.#newest = number;
      if (this.#window === undefined) this.#send();
    });
  }

  release(): void {
    this.#source.release();
    this.#window?.release();
    this.#window = undefined;
  }

  #send(): void {
    const newest = this.#newest;
    this.#newest = undefined;
    this.#window = undefined;
    if (newest === undefined) return;
    this.#window = this.#clock.after(WINDOW_MS, () => this.#send());
    this.#emit(newest);
  }
}
