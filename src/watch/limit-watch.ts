import { dirname } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Owned } from '../base/clock.ts';
import type { LimitCounters } from '../base/limit-counters.ts';
import { CGROUP_ROOT } from '../kernel/cgroup.ts';
import { KeptFile } from '../kernel/kept-file.ts';
import { type CountedSandbox, countersOf, lastWords, type OwnCounts, readCounters } from '../kernel/limit-counters.ts';

/** Compares what is counted against the limits of sandboxes with what was counted before, and tells what has changed. */
export class LimitWatch implements Owned {
  readonly #counted: (unit: string, counters: LimitCounters) => void;
  readonly #defect: (thrown: unknown) => void;
  /** Of slices, which are read for each of their sandboxes. */
  readonly #files = new Map<string, KeptFile>();
  readonly #last = new Map<string, { readonly counters: LimitCounters; readonly text: string }>();

  constructor(counted: (unit: string, counters: LimitCounters) => void, defect: (thrown: unknown) => void) {
    this.#counted = counted;
    this.#defect = defect;
  }

  /**
   * What was counted for sandboxes of an earlier supervisor is where counting begins. With pauses, so that many
   * sandboxes do not keep anything else waiting.
   */
  async begin(living: Iterable<CountedSandbox & { readonly unit: string }>): Promise<void> {
    for (const sandbox of [...living]) {
      this.#survive(() => {
        const counters = readCounters(sandbox);
        if (counters !== undefined) this.#tell(sandbox.unit, counters);
      });
      await setImmediate();
    }
  }

  /** Takes what the sampler has read anyway. */
  take(unit: string, sandbox: CountedSandbox, own: OwnCounts): void {
    this.#survive(() =>
      this.#tell(
        unit,
        countersOf(sandbox, own, (...file) => this.#read(...file)),
      ),
    );
  }

  /** Looks at one sandbox now: it ended or lost a process, and the question is what of. */
  look(unit: string, sandbox: CountedSandbox): void {
    this.#survive(() => {
      this.#tell(unit, readCounters(sandbox) ?? lastWords(sandbox, this.#last.get(unit)?.counters));
    });
  }

  /** The sandbox is gone. Its slice may be, too; that of others is opened again. */
  forget({ unit, cgroup }: CountedSandbox & { readonly unit: string }): void {
    this.#last.delete(unit);
    const slice = dirname(cgroup);
    for (const [path, file] of this.#files) {
      if (!path.startsWith(`${slice}/`)) continue;
      file.release();
      this.#files.delete(path);
    }
  }

  release(): void {
    for (const file of this.#files.values()) file.release();
    this.#files.clear();
  }

  #read(cgroup: string, name: string): string | undefined {
    const path = `${cgroup}/${name}`;
    const file = this.#files.get(path) ?? new KeptFile(`${CGROUP_ROOT}${path}`);
    this.#files.set(path, file);
    return file.text();
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
