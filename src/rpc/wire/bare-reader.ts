import { decodeScanned } from './codec.ts';
import { BARE_FRAME_LIMIT } from './limits.ts';
import { Scanner } from './scanner.ts';
import { BadFrame } from './wire-error.ts';

const FIRST_BYTES = 4096;

/** Messages of a plain MessagePack-RPC peer, which come one behind the other without lengths. */
export class BareReader {
  readonly #value: (value: unknown) => void;
  readonly #scanner = new Scanner();
  #bytes: Buffer = Buffer.alloc(0);
  #end = 0;
  #stopped = false;

  constructor(value: (value: unknown) => void) {
    this.#value = value;
    this.#scanner.begin(0);
  }

  stop(): void {
    this.#stopped = true;
  }

  /** @throws BadFrame */
  push(chunk: Buffer): void {
    this.#add(chunk);
    let start = 0;
    while (this.#scanner.scan(this.#bytes, this.#end, start + BARE_FRAME_LIMIT)) {
      const end = this.#scanner.position;
      this.#value(decodeScanned(this.#scanner, this.#bytes, start, end));
      if (this.#stopped) return;
      start = end;
      this.#scanner.begin(start);
    }
    if (this.#end - start > BARE_FRAME_LIMIT) throw new BadFrame(`a message of more than ${BARE_FRAME_LIMIT} bytes`);
    this.#keepFrom(start);
  }

  /** Behind what is there, in memory of its own that grows by what has come. */
  #add(chunk: Buffer): void {
    if (this.#end === 0) {
      this.#bytes = chunk;
      this.#end = chunk.length;
      return;
    }
    if (this.#end + chunk.length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, 2 * (this.#end + chunk.length)));
      this.#bytes.copy(larger, 0, 0, this.#end);
      this.#bytes = larger;
    }
    chunk.copy(this.#bytes, this.#end);
    this.#end += chunk.length;
  }

  /** What was handed on may still be looked at, so the memory that it is in is not written again. */
  #keepFrom(start: number): void {
    if (start === 0) return;
    this.#bytes = this.#bytes.subarray(start, this.#end);
    this.#end = this.#bytes.length;
    this.#scanner.position -= start;
  }
}
