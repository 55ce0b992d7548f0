import type { Owned } from '../base/clock.ts';
import { owned } from '../base/owner.ts';

/** A list of functions that want to hear of something. One that throws does not keep the others from hearing. */
export class Listeners<Event> {
  readonly #functions = new Set<{ readonly run: (event: Event) => void }>();
  readonly #onDefect: (thrown: unknown) => void;

  /** `onDefect` gets whatever a listener throws: a listener must not throw, so it is a defect. */
  constructor(onDefect: (thrown: unknown) => void) {
    this.#onDefect = onDefect;
  }

  add(run: (event: Event) => void): Owned {
    const entry = { run };
    this.#functions.add(entry);
    return owned(() => this.#functions.delete(entry));
  }

  emit(event: Event): void {
    for (const entry of [...this.#functions]) {
      if (!this.#functions.has(entry)) continue;
      try {
        entry.run(event);
      } catch (thrown) {
        this.#onDefect(thrown);
      }
    }
  }

  clear(): void {
    this.#functions.clear();
  }
}
