import { Failure } from '../base/failure.ts';

/** Bytes that come in pieces, read in the portions that somebody wants. */
export class ByteSource {
  readonly #pieces: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(pieces: AsyncIterable<Buffer>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** Exactly so many, which have to fit into memory. @throws Failure BH420 when there are fewer. */
  async take(count: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.pieces(count)) parts.push(part);
    return Buffer.concat(parts);
  }

  /** So many, piece by piece. @throws Failure BH420 when there are fewer. */
  async *pieces(count: number): AsyncGenerator<Buffer> {
    for (let left = count; left > 0; ) {
      if (this.#rest.length === 0) await this.#more();
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }

  async skip(count: number): Promise<void> {
    for await (const part of this.pieces(count)) void part;
  }

  /** Lets go of where they come from. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  async #more(): Promise<void> {
    const { done, value } = await this.#pieces.next();
    if (done === true) throw new Failure('BH420', 'it ends too early');
    this.#rest = value;
  }
}
