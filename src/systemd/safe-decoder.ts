import DBusBuffer from 'dbus-next/lib/dbus-buffer.js';
import validators from 'dbus-next/lib/validators.js';
import { hasDescriptors, parseSingleType, parseTypes, type TypeTree } from './signature.ts';
import { type Head, type Incoming, MESSAGE, setOwn, Variant } from './wire.ts';

const LITTLE = 0x6c;
const BIG = 0x42;
/** D-Bus specification: no message is larger; what claims to be is not a message. */
const MAX_MESSAGE_BYTES = 128 * 1024 * 1024;
const MAX_FIELDS_BYTES = 64 * 1024 * 1024;
/** A header that is read although its message is not kept. */
const MAX_OVERSIZE_FIELDS_BYTES = 4096;
/** Levels of containers in one message, variants included. */
const MAX_DEPTH = 64;
const TWO_64 = 0xffff_ffff_ffff_ffffn;

/** Why a message was dropped. */
export type Dropped = 'malformed' | 'oversize';

export interface FrameHandlers {
  readonly message: (message: Incoming) => void;
  /** A whole message was skipped; the stream goes on. The header is there when it could be read. */
  readonly dropped: (why: Dropped, head: Head | undefined) => void;
  /** The bytes are not D-Bus: where the next message begins cannot be known, the connection must be given up. */
  readonly broken: (reason: string) => void;
}

/**
 * Cuts a byte stream into messages. Nothing a peer sends makes it throw or hold more than `maxBytes` (plus one
 * chunk): a message of signature `h` without descriptors, say, which any local user can send to anybody on the
 * system bus, and which ends a program that trusts dbus-next's own reader.
 */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #handlers: FrameHandlers;
  #chunks: Buffer[] = [];
  #held = 0;
  #prefix: Buffer | undefined;
  #rest = 0;
  /** Bytes of the present message's body that are not kept; 0 unless it is oversize. */
  #unkept = 0;
  #skip = 0;
  #stopped = false;

  /** @param maxBytes largest message that is kept, in bytes; larger ones are skipped as they arrive. */
  constructor(maxBytes: number, handlers: FrameHandlers) {
    this.#maxBytes = maxBytes;
    this.#handlers = handlers;
  }

  push(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, bytes.length);
      this.#skip -= skipped;
      bytes = bytes.subarray(skipped);
    }
    if (bytes.length > 0) {
      this.#chunks.push(bytes);
      this.#held += bytes.length;
    }
    while (!this.#stopped && this.#skip === 0) {
      if (this.#prefix === undefined) {
        if (this.#held < 16) return;
        this.#begin(this.#take(16));
      } else {
        if (this.#held < this.#rest) return;
        const prefix = this.#prefix;
        this.#prefix = undefined;
        this.#finish(prefix, this.#take(this.#rest));
      }
    }
  }

  /** Nothing more is reported. */
  stop(): void {
    this.#stopped = true;
    this.#chunks = [];
    this.#held = 0;
  }

  #begin(prefix: Buffer): void {
    const endian = prefix[0];
    if ((endian !== LITTLE && endian !== BIG) || prefix[3] !== 1) {
      this.stop();
      this.#handlers.broken('not a D-Bus message');
      return;
    }
    const body = uint32(prefix, 4);
    const fields = uint32(prefix, 12);
    const rest = align8(fields) + body;
    if (fields > MAX_FIELDS_BYTES || 16 + rest > MAX_MESSAGE_BYTES) {
      this.stop();
      this.#handlers.broken('a message larger than D-Bus allows');
    } else if (16 + rest <= this.#maxBytes) {
      this.#prefix = prefix;
      this.#rest = rest;
      this.#unkept = 0;
    } else if (fields <= MAX_OVERSIZE_FIELDS_BYTES) {
      // Who sent it should hear why it is refused, and that takes the header.
      this.#prefix = prefix;
      this.#rest = align8(fields);
      this.#unkept = body;
    } else {
      this.#handlers.dropped('oversize', undefined);
      this.#skipBytes(rest);
    }
  }

  #finish(prefix: Buffer, rest: Buffer): void {
    let head: Head;
    let body: Buffer;
    try {
      const fields = uint32(prefix, 12);
      head = readHead(prefix, rest.subarray(0, fields));
      body = rest.subarray(align8(fields));
      if (head.signature === '' && body.length > 0) throw new Error('a body without a signature');
    } catch {
      this.#skipBytes(this.#unkept);
      this.#handlers.dropped('malformed', undefined);
      return;
    }
    if (this.#unkept > 0) {
      this.#skipBytes(this.#unkept);
      this.#handlers.dropped('oversize', head);
      return;
    }
    // Descriptors were never negotiated, so there can be none.
    if (hasDescriptors(head.signature)) this.#handlers.dropped('malformed', head);
    else this.#handlers.message(incoming(head, body, prefix[0] as number));
  }

  #skipBytes(count: number): void {
    const here = Math.min(count, this.#held);
    if (here > 0) this.#take(here);
    this.#skip = count - here;
  }

  #take(count: number): Buffer {
    const parts: Buffer[] = [];
    let missing = count;
    while (missing > 0) {
      const chunk = this.#chunks[0] as Buffer;
      if (chunk.length <= missing) {
        parts.push(chunk);
        this.#chunks.shift();
        missing -= chunk.length;
      } else {
        parts.push(chunk.subarray(0, missing));
        this.#chunks[0] = chunk.subarray(missing);
        missing = 0;
      }
    }
    this.#held -= count;
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }
}

/** dbus-next's reader with every length, padding and nesting checked, and JavaScript values as we want them. */
class GuardedBuffer extends DBusBuffer {
  #depth = 0;

  override readInt8(): number {
    this.#need(1);
    return super.readInt8();
  }

  override readString(length: number): string {
    this.#need(length + 1);
    if (this.buffer[this.pos + length] !== 0) throw new Error('a string without its NUL');
    return super.readString(length);
  }

  override readTree(type: TypeTree): unknown {
    if (this.#depth >= MAX_DEPTH) throw new Error('nested too deeply');
    this.#depth += 1;
    const value = super.readTree(type);
    this.#depth -= 1;
    return value;
  }

  override readArray(element: TypeTree, bytes: number): unknown {
    if ('xtd{('.includes(element.type)) this.align(3);
    this.#need(bytes);
    const end = this.pos + bytes;
    const list = super.readArray(element, bytes);
    if (this.pos !== end) throw new Error('an array of another length than it says');
    // Copied, because a slice would keep the whole message in memory.
    if (element.type === 'y') return Uint8Array.from(list as Uint8Array);
    return element.type === '{' ? toObject(list as [unknown, unknown][]) : list;
  }

  override readVariant(): Variant {
    const signature = this.readSimpleType('g') as string;
    return new Variant(signature, this.readTree(parseSingleType(signature)));
  }

  override readSimpleType(type: string): unknown {
    switch (type) {
      case 'h':
        throw new Error('a descriptor that did not come');
      case 'x':
      case 't': {
        this.align(3);
        this.#need(8);
        const little = this.endian === LITTLE;
        const value = little ? this.buffer.readBigUInt64LE(this.pos) : this.buffer.readBigUInt64BE(this.pos);
        this.pos += 8;
        if (type === 'x') return Number(BigInt.asIntN(64, value));
        return value === TWO_64 ? 'infinity' : Number(value);
      }
      case 'b': {
        const value = this.readInt32();
        if (value > 1) throw new Error('a boolean that is neither 0 nor 1');
        return value === 1;
      }
      case 'o': {
        const path = super.readSimpleType(type) as string;
        if (!validators.isObjectPathValid(path)) throw new Error('not an object path');
        return path;
      }
      default:
        return super.readSimpleType(type);
    }
  }

  /** All values of the types given; the bytes must be used up exactly. */
  readAll(types: readonly TypeTree[]): unknown[] {
    const values = this.readStruct(types);
    if (this.pos !== this.buffer.length) throw new Error('more bytes than values');
    return values;
  }

  #need(count: number): void {
    if (!(this.pos + count <= this.buffer.length)) throw new Error('fewer bytes than the values need');
  }
}

function toObject(entries: readonly [unknown, unknown][]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const [key, value] of entries) setOwn(object, String(key), value);
  return object;
}

function incoming(head: Head, bytes: Buffer, endian: number): Incoming {
  return {
    head,
    size: bytes.length,
    firstString() {
      if (head.signature[0] !== 's' || bytes.length < 5) return undefined;
      const length = endian === LITTLE ? bytes.readUInt32LE(0) : bytes.readUInt32BE(0);
      return 4 + length < bytes.length ? bytes.toString('utf8', 4, 4 + length) : undefined;
    },
    body() {
      return new GuardedBuffer(bytes, 0, endian).readAll(parseTypes(head.signature));
    },
  };
}

/** Header fields by their number: name and type (D-Bus specification, "Header Fields"). */
const FIELDS: readonly (readonly [string, string] | undefined)[] = [
  undefined,
  ['path', 'o'],
  ['interface', 's'],
  ['member', 's'],
  ['errorName', 's'],
  ['replySerial', 'u'],
  ['destination', 's'],
  ['sender', 's'],
  ['signature', 'g'],
];

const FIELD_TYPE = parseSingleType('(yv)');

function readHead(prefix: Buffer, bytes: Buffer): Head {
  const buffer = new GuardedBuffer(bytes, 0, prefix[0] as number);
  const fields: Record<string, unknown> = {};
  for (const [id, value] of buffer.readArray(FIELD_TYPE, bytes.length) as [number, Variant][]) {
    const field = FIELDS[id];
    if (field === undefined) continue;
    if (value.signature !== field[1]) throw new Error(`header field ${id} of another type`);
    fields[field[0]] = value.value;
  }
  const head: Head = {
    type: prefix[1] as number,
    flags: prefix[2] as number,
    serial: uint32(prefix, 8),
    path: fields.path as string | undefined,
    interface: fields.interface as string | undefined,
    member: fields.member as string | undefined,
    errorName: fields.errorName as string | undefined,
    replySerial: fields.replySerial as number | undefined,
    destination: fields.destination as string | undefined,
    sender: fields.sender as string | undefined,
    signature: (fields.signature as string | undefined) ?? '',
  };
  if (head.serial === 0) throw new Error('a message without a serial');
  for (const name of REQUIRED[head.type] ?? []) {
    if (head[name] === undefined) throw new Error(`a message without ${name}`);
  }
  parseTypes(head.signature);
  return head;
}

const REQUIRED: Readonly<Record<number, readonly (keyof Head)[]>> = {
  [MESSAGE.call]: ['path', 'member'],
  [MESSAGE.return]: ['replySerial'],
  [MESSAGE.error]: ['errorName', 'replySerial'],
  [MESSAGE.signal]: ['path', 'interface', 'member'],
};

function uint32(bytes: Buffer, offset: number): number {
  return bytes[0] === LITTLE ? bytes.readUInt32LE(offset) : bytes.readUInt32BE(offset);
}

function align8(count: number): number {
  return Math.ceil(count / 8) * 8;
}
