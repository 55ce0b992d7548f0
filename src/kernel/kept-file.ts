import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { Owned } from '../base/clock.ts';

/** What a text file of /proc or of a cgroup can have that is looked at; more is cut off. */
const MOST_BYTES = 4096;
/** One that is not there is tried at ever fewer reads, at every so many in the end: a controller may come later. */
const SELDOM = 64;

const shared = Buffer.alloc(MOST_BYTES);

/**
 * A small file of the kernel's that is read again and again: kept open, that costs a third. A descriptor of /proc stays
 * that of the process for which it was opened, even if another one gets its number.
 */
export class KeptFile implements Owned {
  readonly #path: string;
  readonly #flags: number;
  #fd: number | undefined;
  /** Reads until the next try, and those before the one after. */
  #missing = 0;
  #patience = 0;

  constructor(path: string, flags = 0) {
    this.#path = path;
    this.#flags = constants.O_RDONLY | flags;
  }

  /** Undefined when there is none, or not any more. */
  text(): string | undefined {
    const count = this.readInto(shared);
    return count === undefined ? undefined : shared.toString('latin1', 0, count);
  }

  /** Bytes from the beginning, as many as there are and fit; undefined when there is none. */
  readInto(buffer: Buffer): number | undefined {
    if (this.#fd === undefined && !this.#open()) return undefined;
    try {
      return readSync(this.#fd ?? -1, buffer, 0, buffer.length, 0);
    } catch (error) {
      // ENODEV: the cgroup is gone; ESRCH: the process is. Whatever else it is, there is nothing to be read.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENODEV' && code !== 'ESRCH' && code !== 'EOPNOTSUPP' && code !== 'EACCES') throw error;
      this.release();
      return undefined;
    }
  }

  release(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #open(): boolean {
    if (this.#missing > 0) {
      this.#missing -= 1;
      return false;
    }
    try {
      this.#fd = openSync(this.#path, this.#flags);
      this.#patience = 0;
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ESRCH' && code !== 'EACCES' && code !== 'ENODEV') throw error;
      // What is only being made is there at the next read.
      this.#missing = this.#patience;
      this.#patience = Math.min(SELDOM, 2 * this.#patience + 1);
      return false;
    }
  }
}
