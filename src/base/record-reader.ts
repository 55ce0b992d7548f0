/** Times are wall clock, ms since 1970: nothing of ours is older than that or comes after the year 275760. */
const LATEST = 8.64e15;

/**
 * The values of a JSON object of a known form, which somebody may have edited or the disk damaged. Whatever is not as
 * it has to be throws a RangeError that names the field; the caller turns all of them into one answer.
 */
export class RecordReader {
  readonly #fields: Readonly<Record<string, unknown>>;

  /** @throws SyntaxError or RangeError when the text is no JSON object. */
  static parse(text: string): RecordReader {
    return new RecordReader(JSON.parse(text));
  }

  constructor(value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new RangeError('it is no object');
    this.#fields = value as Record<string, unknown>;
  }

  /** A text of at most so many characters. */
  text(name: string, most: number): string {
    const value = this.#fields[name];
    if (typeof value === 'string' && value.length <= most) return value;
    throw wrong(name);
  }

  /** A text that matches as a whole. */
  matching(name: string, is: (text: string) => boolean): string {
    const value = this.text(name, 256);
    if (is(value)) return value;
    throw wrong(name);
  }

  matchingOrNull(name: string, is: (text: string) => boolean): string | undefined {
    return this.#fields[name] === null ? undefined : this.matching(name, is);
  }

  /** A whole number from 0 on. */
  count(name: string): number {
    const value = this.#fields[name];
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    throw wrong(name);
  }

  time(name: string): number {
    const value = this.count(name);
    if (value <= LATEST) return value;
    throw wrong(name);
  }

  /** Exactly this value, as of a format. */
  exactly(name: string, wanted: string | number): void {
    if (this.#fields[name] !== wanted) throw wrong(name);
  }

  /** One of these. */
  oneOf<Word extends string>(name: string, words: readonly Word[]): Word {
    const found = words.find((word) => word === this.#fields[name]);
    if (found !== undefined) return found;
    throw wrong(name);
  }

  objectOrNull(name: string): RecordReader | undefined {
    return this.#fields[name] === null ? undefined : new RecordReader(this.#fields[name]);
  }

  /** Objects, at most so many. */
  list(name: string, most: number): RecordReader[] {
    const value = this.#fields[name];
    if (!Array.isArray(value) || value.length > most) throw wrong(name);
    return value.map((each) => new RecordReader(each));
  }
}

function wrong(name: string): RangeError {
  return new RangeError(`'${name}' is not what it has to be`);
}
