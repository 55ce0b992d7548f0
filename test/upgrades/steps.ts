import { type FSWatcher, readFileSync, watch } from 'node:fs';
import type { RememberedState } from '../../src/decide/restore.ts';

const DIRECTORY = '/run/bulkhead/plugin';

type OnDisk = Pick<RememberedState, 'upgrade'>;

/** The change of version that the next supervisor would go on with; undefined for none. */
export function changeOnDisk(name: string): OnDisk['upgrade'] {
  try {
    return (JSON.parse(readFileSync(`${DIRECTORY}/${name}.json`, 'utf8')) as OnDisk).upgrade;
  } catch {
    return undefined; // not there yet
  }
}

/** Where it stands, as one word for each place from which the next supervisor would go on otherwise. */
export function stepOnDisk(name: string): string | undefined {
  const change = changeOnDisk(name);
  if (change === undefined) return undefined;
  const { step, weight, weighed, ending } = change;
  return [
    step,
    ...(weight > 0 ? [`${weight} %`] : []),
    ...(weighed ? [] : ['not in force']),
    ...(ending ? ['ending'] : []),
  ].join(', ');
}

/** Tells of each step as soon as it is on disk, which is before anything follows from it. */
export class StepWatch {
  readonly seen: string[] = [];
  /** Of the change that was seen last. */
  id: string | undefined;
  readonly #name: string;
  readonly #watcher: FSWatcher;
  readonly #entered: (step: string) => void;

  constructor(name: string, entered: (step: string) => void = () => {}) {
    this.#name = name;
    this.#entered = entered;
    // The directory: each state is a new file, which is renamed to this name.
    this.#watcher = watch(DIRECTORY, (_, file) => {
      if (file === `${name}.json`) this.#look();
    });
  }

  release(): void {
    this.#watcher.close();
  }

  #look(): void {
    this.id = changeOnDisk(this.#name)?.id ?? this.id;
    const step = stepOnDisk(this.#name);
    if (step === undefined || this.seen.includes(step)) return;
    this.seen.push(step);
    this.#entered(step);
  }
}
