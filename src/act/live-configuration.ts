import type { Problem } from '../base/problem.ts';
import { type Configuration, DEFAULT_CONFIGURATION } from '../declare/configuration.ts';
import type { LoadedConfiguration } from '../kernel/configuration-files.ts';

export interface ConfigurationDoors {
  load(): LoadedConfiguration;
  /** What keeps a text from being taken; what held before goes on holding. */
  refused(problems: readonly Problem[], held: string): void;
}

/**
 * bulkhead's own configuration as it holds now. A text with a mistake is not taken: the last good one holds on, or, when
 * there was none, the defaults.
 */
export class LiveConfiguration {
  readonly #doors: ConfigurationDoors;
  readonly #listeners = new Set<(configuration: Configuration) => void>();
  #current = DEFAULT_CONFIGURATION;
  #wasRead = false;
  #problems: readonly Problem[] = [];

  constructor(doors: ConfigurationDoors) {
    this.#doors = doors;
  }

  get current(): Configuration {
    return this.#current;
  }

  /** What is wrong with the text that is there now. */
  get problems(): readonly Problem[] {
    return this.#problems;
  }

  /** Calls with what holds now, and again with each change. */
  follow(listener: (configuration: Configuration) => void): void {
    this.#listeners.add(listener);
    listener(this.#current);
  }

  /** Reads the files again. */
  reload(): void {
    const { configuration, problems } = this.#doors.load();
    this.#problems = problems;
    if (configuration === undefined) {
      this.#doors.refused(problems, this.#wasRead ? 'what was read before holds' : 'the defaults hold');
      return;
    }
    this.#wasRead = true;
    if (JSON.stringify(configuration) === JSON.stringify(this.#current)) return;
    this.#current = configuration;
    for (const listener of this.#listeners) listener(configuration);
  }
}
