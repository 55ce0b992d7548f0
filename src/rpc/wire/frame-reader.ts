import { BareReader } from './bare-reader.ts';
import { Chunks } from './chunks.ts';
import { decode, type TakeBodies } from './codec.ts';
import { LENGTH_BYTES } from './limits.ts';
import { BadFrame } from './wire-error.ts';

/** A first byte that begins an array of 3 to 5: a message without a length (docs/protocol.md). */
const BARE_FIRST_BYTES = [0x93, 0x94, 0x95];

export interface FrameReaderOptions {
  /** Bytes that a message may have. */
  readonly limit: number;
  /** Whether a peer that sends no lengths is served. */
  readonly takesBare: boolean;
  /** Called for each message, in order. */
  readonly value: (value: unknown) => void;
}

/** Takes a stream of bytes apart into messages. After it has thrown it must not be given more. */
export class FrameReader {
  /** Bytes that a message may have; a change counts for lengths that are read from then on. */
  limit: number;
  /** Where bodies come from, once both sides have agreed on them. */
  takeBodies: TakeBodies | undefined;
  readonly #options: FrameReaderOptions;
  readonly #rest = new Chunks();
  #needed = LENGTH_BYTES;
  #begun = false;
  #stopped = false;
  #bare: BareReader | undefined;

  constructor(options: FrameReaderOptions) {
    this.#options = options;
    this.limit = options.limit;
  }

  /** Whether the peer sends no lengths; known from its first byte on. */
  get isBare(): boolean {
    return this.#bare !== undefined;
  }

  /** Nothing more is handed on, not even what has come already. */
  stop(): void {
    this.#stopped = true;
    this.#bare?.stop();
  }

  /** @throws BadFrame; messages before have been handed on. */
  push(chunk: Buffer): void {
    if (this.#stopped || chunk.length === 0) return;
    if (!this.#begun) {
      this.#begun = true;
      if (this.#options.takesBare && BARE_FIRST_BYTES.includes(chunk[0] as number))
        this.#bare = new BareReader(this.#options.value);
    }
    if (this.#bare !== undefined) this.#bare.push(chunk);
    else this.#pushFramed(chunk);
  }

  #pushFramed(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#rest.length > 0) {
      this.#rest.add(chunk);
      if (this.#rest.length < this.#needed) return;
      bytes = this.#rest.take();
    }
    let at = 0;
    this.#needed = LENGTH_BYTES;
    while (bytes.length - at >= LENGTH_BYTES) {
      const length = bytes.readUInt32BE(at);
      if (length === 0) throw new BadFrame('a message of no bytes');
      if (length > this.limit) throw new BadFrame(`a message of ${length} bytes is over the limit of ${this.limit}`);
      if (bytes.length - at < LENGTH_BYTES + length) {
        this.#needed = LENGTH_BYTES + length;
        break;
      }
      const start = at + LENGTH_BYTES;
      at = start + length;
      this.#options.value(decode(bytes, start, at, this.takeBodies));
      if (this.#stopped) return;
    }
    if (at === bytes.length) return;
    const rest = bytes.subarray(at);
    // A copy where it would keep all of a large message alive.
    this.#rest.add(bytes === chunk ? rest : Buffer.from(rest));
  }
}
