import { constants, openSync, writeSync } from 'node:fs';
import { mapShared } from './addon.ts';

export const PAGE_BYTES = 64 * 1024;

/** The bytes of an activity page: mapped, or a copy of which pieces are written where mapping cannot be had. */
export class PageMemory {
  readonly bytes: Buffer;
  /** For the sequence of a slot: stores that stay in their order. */
  readonly words: Int32Array;
  /** All numbers of 64 bits lie at multiples of 8, and the machines that bulkhead runs on are little-endian as the page is. */
  readonly longs: BigUint64Array;
  /** undefined when the page is mapped, or there is none. */
  readonly #fd: number | undefined;

  private constructor(memory: ArrayBuffer, fd: number | undefined) {
    this.bytes = Buffer.from(memory);
    this.words = new Int32Array(memory);
    this.longs = new BigUint64Array(memory);
    this.#fd = fd;
  }

  /** @returns undefined when there is no page, or it cannot be opened: the program goes on without. */
  static open(path: string | undefined): PageMemory | undefined {
    if (path === undefined || path === '') return undefined;
    let fd: number;
    try {
      fd = openSync(path, constants.O_RDWR);
    } catch {
      return undefined;
    }
    const mapped = mapShared(fd, PAGE_BYTES);
    return new PageMemory(mapped ?? new ArrayBuffer(PAGE_BYTES), mapped === undefined ? fd : undefined);
  }

  /** Whether what is stored is seen without a call. */
  get isMapped(): boolean {
    return this.#fd === undefined;
  }

  /** Lets others see these bytes. A page that was cut or closed by the program is its own loss. */
  show(at: number, length: number): void {
    if (this.#fd === undefined) return;
    try {
      writeSync(this.#fd, this.bytes, at, length, at);
    } catch {
      // A disk that is full or a descriptor that the program closed must not cost a call.
    }
  }
}
