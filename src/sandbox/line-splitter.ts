/** Cuts a byte stream into lines of bounded length. */
export class LineSplitter {
  #rest = '';
  readonly #longest: number;
  readonly #decoder = new TextDecoder('utf-8');

  /** @param longest characters that a line may have. */
  constructor(longest: number) {
    this.#longest = longest;
  }

  /** The lines that are complete now; undefined when one is too long, after which the stream is of no use. */
  push(chunk: Uint8Array): string[] | undefined {
    this.#rest += this.#decoder.decode(chunk, { stream: true });
    const lines = this.#rest.split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > this.#longest || lines.some((line) => line.length > this.#longest)) return undefined;
    return lines;
  }
}
