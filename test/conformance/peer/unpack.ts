import { Extension } from './pack.ts';

/** What the bytes of one value came to; a map is an object of own properties, an integer beyond 2^53 a bigint. */
export type Unpacked =
  | { readonly kind: 'value'; readonly value: unknown; readonly end: number; readonly doubts: readonly Doubt[] }
  /** All there is belongs to a value that has not ended. */
  | { readonly kind: 'incomplete'; readonly doubts: readonly Doubt[] }
  | { readonly kind: 'bad'; readonly why: string };

/** What a receiver may refuse, and need not. */
export type Doubt =
  | 'integer beyond 2^53'
  | 'float that is whole'
  | 'key twice'
  | 'key __proto__'
  | '33 levels'
  | 'more than there can be';

class Bad extends Error {}
class Incomplete extends Error {}

/** Extension types that this connection has. */
export interface UnpackOptions {
  readonly extensions?: readonly number[];
  /** Bytes that the whole can have: a count that cannot fit may be refused before it is all there. */
  readonly limit?: number;
  /** Only where it ends is looked at, as by one who waits until all of it is there before judging it. */
  readonly lax?: boolean;
}

const MOST_LEVELS = 32;
/** So deep nobody looks, however lax. */
const DEEPEST = 500;
const SAFE = BigInt(Number.MAX_SAFE_INTEGER) + 1n;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads one value as docs/protocol.md has it, and says of everything else why it is none. */
export function unpack(bytes: Buffer, at = 0, options: UnpackOptions = {}): Unpacked {
  const reader = new Reader(bytes, at, options);
  try {
    const value = reader.value(0);
    return { kind: 'value', value, end: reader.at, doubts: [...reader.doubts] };
  } catch (error) {
    if (error instanceof Incomplete) return { kind: 'incomplete', doubts: [...reader.doubts] };
    if (error instanceof Bad) return { kind: 'bad', why: error.message };
    throw error;
  }
}

class Reader {
  readonly #bytes: Buffer;
  readonly #options: UnpackOptions;
  readonly doubts = new Set<Doubt>();
  at: number;

  constructor(bytes: Buffer, at: number, options: UnpackOptions) {
    this.#bytes = bytes;
    this.#options = options;
    this.at = at;
  }

  /** `level` arrays and maps are around it. */
  value(level: number): unknown {
    const first = this.#uint(1);
    if (first < 0x80) return first;
    if (first >= 0xe0) return first - 0x100;
    if (first < 0x90) return this.#map(first & 15, level + 1);
    if (first < 0xa0) return this.#list(first & 15, level + 1);
    if (first < 0xc0) return this.#text(first & 31);
    return this.#other(first, level);
  }

  #other(first: number, level: number): unknown {
    switch (first) {
      case 0xc0:
        return null;
      case 0xc2:
      case 0xc3:
        return first === 0xc3;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return Buffer.from(this.#take(this.#uint(2 ** (first - 0xc4))));
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.#extension(this.#uint(2 ** (first - 0xc7)));
      case 0xca:
        return this.#float(this.#take(4).readFloatBE(0));
      case 0xcb:
        return this.#float(this.#take(8).readDoubleBE(0));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#uint(2 ** (first - 0xcc));
      case 0xcf:
        return this.#wide(this.#take(8).readBigUInt64BE(0));
      case 0xd0:
      case 0xd1:
      case 0xd2:
        return this.#take(2 ** (first - 0xd0)).readIntBE(0, 2 ** (first - 0xd0));
      case 0xd3:
        return this.#wide(this.#take(8).readBigInt64BE(0));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#uint(2 ** (first - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#list(this.#uint(first === 0xdc ? 2 : 4), level + 1);
      case 0xde:
      case 0xdf:
        return this.#map(this.#uint(first === 0xde ? 2 : 4), level + 1);
      default:
        if (first >= 0xd4 && first <= 0xd8) return this.#extension(2 ** (first - 0xd4));
        throw new Bad(`0x${first.toString(16)} begins no value`);
    }
  }

  #wide(value: bigint): number | bigint {
    if (value > SAFE || value < -SAFE) {
      this.doubts.add('integer beyond 2^53');
      return value;
    }
    return Number(value);
  }

  /** Zero has no sign here: not every language keeps that of a float that is whole. */
  #float(value: number): number {
    if (Number.isInteger(value)) this.doubts.add('float that is whole');
    return value === 0 ? 0 : value;
  }

  #list(count: number, level: number): unknown[] {
    this.#mayHold(count, level);
    const list: unknown[] = [];
    for (let index = 0; index < count; index += 1) list.push(this.value(level));
    return list;
  }

  #map(count: number, level: number): Record<string, unknown> {
    this.#mayHold(2 * count, level);
    const map: Record<string, unknown> = {};
    for (let index = 0; index < count; index += 1) {
      // Its first byte tells what a key will be, long before all of it is there.
      const first = this.#bytes[this.at] ?? 0xa0;
      if (!(first >= 0xa0 && first < 0xc0) && !(first >= 0xd9 && first <= 0xdb))
        this.#refuse('a key that is no string');
      const key = this.value(level);
      if (typeof key !== 'string') {
        this.value(level);
        continue;
      }
      if (Object.hasOwn(map, key)) this.doubts.add('key twice');
      if (key === '__proto__') this.doubts.add('key __proto__');
      // Defined, not assigned: a key may be '__proto__'.
      const value = this.value(level);
      Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
    }
    return map;
  }

  #mayHold(count: number, level: number): void {
    if (level > MOST_LEVELS + 1) this.#refuse('too many levels');
    if (level > DEEPEST) throw new Bad('too many levels');
    if (level > MOST_LEVELS) this.doubts.add('33 levels');
    if (count > (this.#options.limit ?? Number.POSITIVE_INFINITY)) this.doubts.add('more than there can be');
  }

  #extension(length: number): Extension {
    const type = this.#take(1).readInt8(0);
    if (this.#options.extensions?.includes(type) !== true) this.#refuse(`extension type ${type}`);
    return new Extension(type, this.#take(length));
  }

  #text(length: number): string {
    const bytes = this.#take(length);
    try {
      return utf8.decode(bytes);
    } catch {
      this.#refuse('a string that is not UTF-8');
      return '';
    }
  }

  #refuse(why: string): void {
    if (this.#options.lax !== true) throw new Bad(why);
  }

  #uint(length: number): number {
    return this.#take(length).readUIntBE(0, length);
  }

  #take(length: number): Buffer {
    if (length > (this.#options.limit ?? Number.POSITIVE_INFINITY)) this.doubts.add('more than there can be');
    if (this.at + length > this.#bytes.length) throw new Incomplete();
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }
}
