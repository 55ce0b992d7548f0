import type { Clock, Owned } from '../base/clock.ts';
import { asFailure, type Failure } from '../base/failure.ts';
import type { Gate } from '../plan/plan.ts';

/** Pauses (ms) before init is told again, doubled each time: it may have been too young to hear, or be frozen. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;

/** Tells one sandbox's init how its gate is to stand, until it has answered so. */
export class GateTeller implements Owned {
  readonly #clock: Clock;
  readonly #signal: (gate: Gate) => void;
  readonly #failed: (failure: Failure) => void;
  #wanted: Gate | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #timer: Owned | undefined;

  /**
   * @param signal tells init once
   * @param failed it could not be told, and will be again
   */
  constructor(clock: Clock, signal: (gate: Gate) => void, failed: (failure: Failure) => void) {
    this.#clock = clock;
    this.#signal = signal;
    this.#failed = failed;
  }

  tell(gate: Gate): void {
    this.#wanted = gate;
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#once();
  }

  /** Init said how it stands. */
  answered(gate: Gate): void {
    if (gate !== this.#wanted) return;
    this.#wanted = undefined;
    this.#timer?.release();
  }

  release(): void {
    this.#wanted = undefined;
    this.#timer?.release();
  }

  #once(): void {
    if (this.#wanted === undefined) return;
    this.#timer?.release();
    this.#timer = this.#clock.after(this.#pauseMs, () => this.#once());
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
    try {
      this.#signal(this.#wanted);
    } catch (error) {
      this.#failed(asFailure(error));
    }
  }
}
