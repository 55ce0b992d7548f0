/** Chunks below this are copied together: what is kept of a peer that sends single bytes has to be about what it sent. */
const SMALL_BYTES = 8 * 1024;
const GATHER_BYTES = 64 * 1024;

/** Bytes of a message that is not complete, as they came. */
export class Chunks {
  #chunks: Buffer[] = [];
  /** Where small ones are gathered, and how far it is filled; it is the last of the chunks, when it has any. */
  #gathered: Buffer | undefined;
  #filled = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(chunk: Buffer): void {
    this.#length += chunk.length;
    if (chunk.length >= SMALL_BYTES || this.#length === chunk.length) {
      this.#seal();
      this.#chunks.push(chunk);
      return;
    }
    if (this.#gathered === undefined || this.#filled + chunk.length > GATHER_BYTES) {
      this.#seal();
      this.#gathered = Buffer.allocUnsafeSlow(GATHER_BYTES);
    }
    chunk.copy(this.#gathered, this.#filled);
    this.#filled += chunk.length;
  }

  /** All of them in one piece, at least one; none are left. */
  take(): Buffer {
    this.#seal();
    const [first, second] = this.#chunks;
    const whole = first !== undefined && second === undefined ? first : Buffer.concat(this.#chunks, this.#length);
    this.#chunks = [];
    this.#length = 0;
    return whole;
  }

  #seal(): void {
    if (this.#gathered !== undefined) this.#chunks.push(this.#gathered.subarray(0, this.#filled));
    this.#gathered = undefined;
    this.#filled = 0;
  }
}
