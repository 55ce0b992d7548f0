/** What came of a stream and was not taken yet, and the credit that its sender has. Pure but for promises. */
export class StreamBuffer<T> {
  readonly #credit: number;
  readonly #items: { readonly value: T }[] = [];
  /** Items that may still come. */
  #open: number;
  /** Items taken since credit was given last. */
  #taken = 0;
  #ended: { readonly error: unknown } | { readonly result: unknown } | undefined;
  #waiting:
    | { readonly resolve: (more: IteratorResult<T, unknown>) => void; readonly reject: (error: unknown) => void }
    | undefined;

  /** @param credit items that may be on their way, or wait to be taken, at a time: 1 to 1024 */
  constructor(credit: number) {
    this.#credit = credit;
    this.#open = credit;
  }

  /** Somebody waits for the next item. */
  get wanted(): boolean {
    return this.#waiting !== undefined;
  }

  /** @returns false for an item that the sender had no credit for. */
  put(item: T): boolean {
    if (this.#open === 0) return false;
    this.#open--;
    if (this.#ended !== undefined) return true;
    const waiting = this.#waiting;
    if (waiting === undefined) this.#items.push({ value: item });
    else {
      this.#waiting = undefined;
      this.#taken++;
      waiting.resolve({ done: false, value: item });
    }
    return true;
  }

  /** All parts came at once. */
  fill(items: readonly T[]): void {
    this.#open += items.length;
    for (const item of items) this.put(item);
  }

  /** The response came. What was not taken yet can still be. */
  end(result: unknown): void {
    this.#finish({ result });
  }

  fail(error: unknown): void {
    this.#finish({ error });
  }

  /** The next item, or the end. Only one may wait at a time. */
  take(): Promise<IteratorResult<T, unknown>> {
    const item = this.#items.shift();
    if (item !== undefined) {
      this.#taken++;
      return Promise.resolve({ done: false, value: item.value });
    }
    const ended = this.#ended;
    if (ended === undefined) {
      if (this.#waiting !== undefined) return Promise.reject(new TypeError('the stream is being read already'));
      return new Promise((resolve, reject) => {
        this.#waiting = { resolve, reject };
      });
    }
    if ('result' in ended) return Promise.resolve({ done: true, value: ended.result });
    // An error is told once, as iterators do.
    this.#ended = { result: undefined };
    return Promise.reject(ended.error);
  }

  /** Nobody takes any more. */
  drop(): void {
    this.#items.length = 0;
    this.#finish({ result: undefined });
  }

  /** Somebody else sends from now on. @returns the credit that he has, at least 1 */
  restart(): number {
    this.#open = Math.max(1, this.#credit - this.#items.length);
    this.#taken = 0;
    return this.#open;
  }

  /** Credit to give now, 0 for none yet: half of it at a time, so that few messages are for credit alone. */
  refill(): number {
    if (this.#ended !== undefined || 2 * this.#taken < this.#credit) return 0;
    const more = this.#taken;
    this.#taken = 0;
    this.#open += more;
    return more;
  }

  #finish(ended: { readonly error: unknown } | { readonly result: unknown }): void {
    if (this.#ended !== undefined) return;
    this.#ended = ended;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) return;
    if ('result' in ended) waiting.resolve({ done: true, value: ended.result });
    else {
      this.#ended = { result: undefined };
      waiting.reject(ended.error);
    }
  }
}
