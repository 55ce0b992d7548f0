import { closeSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import { pipe } from '../kernel/native.ts';

export const REPORT_PREFIX = 'report.';

/** systemd's fd store, as far as pipes need it. */
export interface DescriptorStore {
  store(name: string, fd: number): void;
  remove(name: string): void;
}

/** Report pipes: copies of the read ends in the fd store, and write ends that nobody has fetched yet. */
export class ReportPipes {
  readonly #store: DescriptorStore;
  readonly #writeEnds = new Map<string, number>();

  constructor(store: DescriptorStore) {
    this.#store = store;
  }

  /** A new pipe for the unit instead of the one before; returns the read end, which is the caller's. */
  open(unit: string): number {
    const { read, write } = pipe();
    this.close(unit);
    this.#writeEnds.set(unit, write);
    this.#store.store(`${REPORT_PREFIX}${unit}`, read);
    return read;
  }

  /** Whether the write end waits to be fetched. */
  has(unit: string): boolean {
    return this.#writeEnds.has(unit);
  }

  /** The write end, which is the caller's from now on. */
  take(unit: string): number {
    const fd = this.#writeEnds.get(unit);
    if (fd === undefined) throw new Failure('BH302', `the report pipe of '${unit}' is not there`);
    this.#writeEnds.delete(unit);
    return fd;
  }

  /** Gives up the write end and what the store has. */
  close(unit: string): void {
    const fd = this.#writeEnds.get(unit);
    this.#writeEnds.delete(unit);
    if (fd !== undefined) closeSync(fd);
    this.#store.remove(`${REPORT_PREFIX}${unit}`);
  }

  /** Stops giving pipes out; what the store has stays for the next supervisor. */
  release(): void {
    for (const fd of this.#writeEnds.values()) closeSync(fd);
    this.#writeEnds.clear();
  }
}
