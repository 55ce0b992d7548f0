/**
 * A MessagePack writer of the tests' own, so that no SDK is tested by the library that it uses. Beside proper values it
 * writes what no library would: bytes as they are, wherever a value may be.
 */

/** An extension value. */
export class Extension {
  readonly type: number;
  readonly data: Buffer;

  constructor(type: number, data: Uint8Array) {
    this.type = type;
    this.data = Buffer.from(data);
  }
}

/** Bytes that are written as they are, right or wrong. */
export class Verbatim {
  readonly bytes: Buffer;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes);
  }
}

/** A number that is written as a 64-bit float, whole or not. */
export class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

export type Value =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Extension
  | Verbatim
  | Float
  | readonly Value[]
  | { readonly [key: string]: Value };

export function pack(value: Value): Buffer {
  const parts: Buffer[] = [];
  write(value, parts);
  return Buffer.concat(parts);
}

/** A message behind its length. */
export function frame(value: Value): Buffer {
  return behindLength(pack(value));
}

export function behindLength(body: Uint8Array, length = body.length): Buffer {
  return Buffer.concat([uint(length, 4), body]);
}

function write(value: Value, parts: Buffer[]): void {
  if (value === null || value === undefined) parts.push(Buffer.of(0xc0));
  else if (typeof value === 'boolean') parts.push(Buffer.of(value ? 0xc3 : 0xc2));
  else if (typeof value === 'number') parts.push(isWhole(value) ? integer(BigInt(value)) : float(value));
  else if (typeof value === 'bigint') parts.push(integer(value));
  else if (typeof value === 'string') {
    const bytes = Buffer.from(value);
    parts.push(headOf(bytes.length, [0xa0, 31], [0xd9, 0xda, 0xdb]), bytes);
  } else if (value instanceof Uint8Array) {
    parts.push(headOf(value.length, undefined, [0xc4, 0xc5, 0xc6]), Buffer.from(value));
  } else if (value instanceof Extension) parts.push(extension(value));
  else if (value instanceof Verbatim) parts.push(value.bytes);
  else if (value instanceof Float) parts.push(float(value.value));
  else if (isList(value)) {
    parts.push(headOf(value.length, [0x90, 15], [undefined, 0xdc, 0xdd]));
    for (const each of value) write(each, parts);
  } else {
    const entries = Object.entries(value);
    parts.push(headOf(entries.length, [0x80, 15], [undefined, 0xde, 0xdf]));
    for (const [key, each] of entries) {
      write(key, parts);
      write(each, parts);
    }
  }
}

/** To 2^53, which is as far as a number of JavaScript tells one integer from the next. */
function isWhole(value: number): boolean {
  return Number.isInteger(value) && Math.abs(value) <= 2 ** 53 && !Object.is(value, -0);
}

function isList(value: readonly Value[] | { readonly [key: string]: Value }): value is readonly Value[] {
  return Array.isArray(value);
}

/** The shortest head that can say this length: in the first byte, or in 1, 2 or 4 behind it. */
function headOf(
  length: number,
  short: readonly [number, number] | undefined,
  [one, two, four]: readonly [number | undefined, number, number],
): Buffer {
  if (short !== undefined && length <= short[1]) return Buffer.of(short[0] | length);
  if (one !== undefined && length <= 0xff) return Buffer.of(one, length);
  if (length <= 0xffff) return Buffer.concat([Buffer.of(two), uint(length, 2)]);
  return Buffer.concat([Buffer.of(four), uint(length, 4)]);
}

function uint(value: number, bytes: number): Buffer {
  const out = Buffer.alloc(bytes);
  out.writeUIntBE(value, 0, bytes);
  return out;
}

function integer(value: bigint): Buffer {
  if (value >= 0n) {
    if (value < 0x80n) return Buffer.of(Number(value));
    if (value <= 0xffn) return Buffer.of(0xcc, Number(value));
    if (value <= 0xffffn) return Buffer.concat([Buffer.of(0xcd), uint(Number(value), 2)]);
    if (value <= 0xffffffffn) return Buffer.concat([Buffer.of(0xce), uint(Number(value), 4)]);
    const out = Buffer.alloc(9, 0xcf);
    out.writeBigUInt64BE(value, 1);
    return out;
  }
  if (value >= -32n) return Buffer.of(Number(value) & 0xff);
  const bits = value >= -0x80n ? 8 : value >= -0x8000n ? 16 : value >= -0x80000000n ? 32 : 64;
  const out = Buffer.alloc(1 + bits / 8, { 8: 0xd0, 16: 0xd1, 32: 0xd2, 64: 0xd3 }[bits]);
  if (bits === 64) out.writeBigInt64BE(value, 1);
  else out.writeIntBE(Number(value), 1, bits / 8);
  return out;
}

function float(value: number): Buffer {
  const out = Buffer.alloc(9, 0xcb);
  out.writeDoubleBE(value, 1);
  return out;
}

function extension({ type, data }: Extension): Buffer {
  const fixed = [1, 2, 4, 8, 16].indexOf(data.length);
  const head = fixed >= 0 ? Buffer.of(0xd4 + fixed) : headOf(data.length, undefined, [0xc7, 0xc8, 0xc9]);
  return Buffer.concat([head, Buffer.of(type & 0xff), data]);
}
