import { setImmediate } from 'node:timers/promises';
import type { Clock, Owned } from '../base/clock.ts';
import type { LimitCounters } from '../base/limit-counters.ts';
import { type CountedSandbox, lastWords, readCounters } from '../kernel/limit-counters.ts';

/** A limit that is reached may be told of so much later; a payload that dies of one is looked at at once. */
const LOOK_EVERY_MS = 2000;

/** Looks at what is counted against the limits of all living sandboxes, and tells what has changed. */
export class LimitWatch implements Owned {
  readonly #clock: Clock;
  readonly #living: () => Iterable<readonly [unit: string, sandbox: CountedSandbox]>;
  readonly #counted: (unit: string, counters: LimitCounters) => void;
  readonly #defect: (thrown: unknown) => void;
  readonly #last = new Map<string, { readonly counters: LimitCounters; readonly text: string }>();
  #timer: Owned | undefined;
  #released = false;

  constructor(
    clock: Clock,
    living: () => Iterable<readonly [unit: string, sandbox: CountedSandbox]>,
    counted: (unit: string, counters: LimitCounters) => void,
    defect: (thrown: unknown) => void,
  ) {
    this.#clock = clock;
    this.#living = living;
    this.#counted = counted;
    this.#defect = defect;
  }

  /** The first look is at once: what was counted for sandboxes of an earlier supervisor is where counting begins. */
  begin(): Promise<void> {
    return this.#lookAtAll();
  }

  /** Looks at one sandbox now: it ended, and the question is what of. */
  look(unit: string, sandbox: CountedSandbox): void {
    this.#survive(() => {
      this.#tell(unit, readCounters(sandbox) ?? lastWords(sandbox, this.#last.get(unit)?.counters));
    });
  }

  release(): void {
    this.#released = true;
    this.#timer?.release();
  }

  #later(): Owned {
    return this.#clock.after(LOOK_EVERY_MS, () => void this.#lookAtAll());
  }

  /** With pauses, so that many sandboxes do not keep anything else waiting. */
  async #lookAtAll(): Promise<void> {
    const seen = new Set<string>();
    for (const [unit, sandbox] of [...this.#living()]) {
      seen.add(unit);
      this.#survive(() => {
        const counters = readCounters(sandbox);
        if (counters !== undefined) this.#tell(unit, counters);
      });
      await setImmediate();
      if (this.#released) return;
    }
    for (const unit of this.#last.keys()) if (!seen.has(unit)) this.#last.delete(unit);
    this.#timer = this.#later();
  }

  /** What cannot be read is not told; everything else goes on. */
  #survive(look: () => void): void {
    try {
      look();
    } catch (thrown) {
      this.#defect(thrown);
    }
  }

  #tell(unit: string, counters: LimitCounters): void {
    // How many periods there were says nothing by itself, and it grows all the time.
    const text = JSON.stringify({ ...counters, periods: 0 });
    if (this.#last.get(unit)?.text === text) return;
    this.#last.set(unit, { counters, text });
    this.#counted(unit, counters);
  }
}
