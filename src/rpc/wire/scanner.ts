import { isUtf8 } from 'node:buffer';
import { MOST_BODIES, MOST_BODY_BYTES, MOST_LEVELS } from './limits.ts';
import { BadFrame } from './wire-error.ts';

/** Texts below this many bytes are looked at here, which is faster than a call into the engine. */
const SHORT_TEXT_BYTES = 48;
/** The upper half of 2^53, and of -2^53 as two's complement. */
const HIGHEST_HALF = 0x200000;
const LOWEST_HALF = 0xffe00000;
/** Extension type 1 with its 9 bytes. */
const BODY_BYTES = 12;
const PROTO = Buffer.from('__proto__');

/**
 * Passes over one MessagePack value without making anything of it, and says whether it obeys docs/protocol.md: levels,
 * keys, texts, integers, no extensions, and no more elements than there are bytes for them. Only what has passed is
 * given to the decoder, which so never allocates by a number that a peer made up.
 *
 * It goes on where it stopped when more bytes have come, so a peer that sends single bytes costs no more than another.
 */
export class Scanner {
  /** Where the next byte to be looked at is. */
  position = 0;
  /** Whether a map has the key `__proto__`, which is no key like others to JavaScript. */
  sawProto = false;
  /** Values that are still to come, by level; in maps keys count, too. */
  readonly #left = new Float64Array(MOST_LEVELS + 1);
  readonly #isMap = new Uint8Array(MOST_LEVELS + 1);
  /** Lengths of the bodies that were mentioned, by their index. */
  readonly bodies: number[] = [];
  #level = 0;
  #trusted = false;
  #takesBodies = false;

  /**
   * Begins anew.
   * @param trusted whether texts are known to be UTF-8, because our own encoder wrote them.
   * @param takesBodies whether bodies have been agreed on.
   */
  begin(position: number, trusted = false, takesBodies = false): void {
    this.#takesBodies = takesBodies;
    if (this.bodies.length > 0) this.bodies.length = 0;
    this.position = position;
    this.sawProto = false;
    this.#level = 0;
    this.#left[0] = 1;
    this.#isMap[0] = 0;
    this.#trusted = trusted;
  }

  /**
   * @param end bytes that are there.
   * @param limit where the value has to end at the latest.
   * @returns whether the value has ended, at `position`; otherwise there is more to come.
   * @throws BadFrame
   */
  scan(bytes: Uint8Array, end: number, limit: number): boolean {
    const left = this.#left;
    const isMap = this.#isMap;
    for (;;) {
      const level = this.#level;
      const remaining = left[level] as number;
      if (remaining === 0) {
        if (level === 0) return true;
        this.#level = level - 1;
        continue;
      }
      const at = this.position;
      if (at >= end) return false;
      const token = bytes[at] as number;
      const isKey = isMap[level] === 1 && remaining % 2 === 0;
      if (isKey && !isText(token)) throw new BadFrame('a key of a map is not a string');

      if (token < 0x80 || token >= 0xe0 || (token >= 0xc0 && token <= 0xc3)) {
        if (token === 0xc1) throw new BadFrame('a byte that MessagePack does not use');
        this.position = at + 1;
        left[level] = remaining - 1;
        continue;
      }
      if (token === 0xc7 && this.#takesBodies && !isKey) {
        if (at + BODY_BYTES > end) return false;
        this.#mention(bytes, at);
        this.position = at + BODY_BYTES;
        left[level] = remaining - 1;
        continue;
      }
      const head = headBytes(token);
      if (at + head > end) return false;
      if (token < 0xa0 || (token >= 0xdc && token <= 0xdf)) {
        const map = token < 0x90 || token >= 0xde;
        const count = token < 0xa0 ? token & 0x0f : lengthAt(bytes, at + 1, head - 1);
        const values = map ? count * 2 : count;
        if (values > limit - at - head) throw new BadFrame('more elements than bytes');
        if (level === MOST_LEVELS) throw new BadFrame(`more than ${MOST_LEVELS} levels of arrays and maps`);
        left[level] = remaining - 1;
        this.#level = level + 1;
        left[level + 1] = values;
        isMap[level + 1] = map ? 1 : 0;
        this.position = at + head;
        continue;
      }
      const body = bodyBytes(token, bytes, at, head);
      if (body > limit - at - head) throw new BadFrame('a value is longer than its message');
      const bodyAt = at + head;
      if (bodyAt + body > end) return false;
      if (isText(token)) {
        if (!this.#trusted && !textIsUtf8(bytes, bodyAt, bodyAt + body)) throw new BadFrame('a string is not UTF-8');
        if (isKey && body === PROTO.length && isProto(bytes, bodyAt)) this.sawProto = true;
      } else if (token === 0xcf || token === 0xd3) checkInteger(token, bytes, bodyAt);
      else if (token === 0xcb && this.#trusted) writeWholeAsInteger(bytes, at);
      this.position = bodyAt + body;
      left[level] = remaining - 1;
    }
  }

  /** Extension type 1: which of the message's descriptors, and how many bytes it has. Type 2 we do not name. */
  #mention(bytes: Uint8Array, at: number): void {
    if (bytes[at + 1] !== BODY_BYTES - 3 || bytes[at + 2] !== 1)
      throw new BadFrame('an extension type that was not agreed');
    const index = bytes[at + 3] as number;
    const length = lengthAt(bytes, at + 4, 4) * 2 ** 32 + lengthAt(bytes, at + 8, 4);
    if (index >= MOST_BODIES || this.bodies[index] !== undefined) throw new BadFrame('a body that is mentioned twice');
    if (length > MOST_BODY_BYTES) throw new BadFrame('a body that is too large');
    this.bodies[index] = length;
  }
}

function isText(token: number): boolean {
  return (token >= 0xa0 && token <= 0xbf) || (token >= 0xd9 && token <= 0xdb);
}

function isProto(bytes: Uint8Array, at: number): boolean {
  for (let index = 0; index < PROTO.length; index++) if (bytes[at + index] !== PROTO[index]) return false;
  return true;
}

/** The first byte and the length behind it, if there is one. */
function headBytes(token: number): number {
  switch (token) {
    case 0xc4:
    case 0xd9:
      return 2;
    case 0xc5:
    case 0xda:
    case 0xdc:
    case 0xde:
      return 3;
    case 0xc6:
    case 0xdb:
    case 0xdd:
    case 0xdf:
      return 5;
    default:
      return 1;
  }
}

/** What follows the head of anything but arrays and maps. */
function bodyBytes(token: number, bytes: Uint8Array, at: number, head: number): number {
  if (token < 0xc0) return token & 0x1f;
  if (head > 1) return lengthAt(bytes, at + 1, head - 1);
  switch (token) {
    case 0xcc:
    case 0xd0:
      return 1;
    case 0xcd:
    case 0xd1:
      return 2;
    case 0xca:
    case 0xce:
    case 0xd2:
      return 4;
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return 8;
    default:
      throw new BadFrame('an extension type that was not agreed');
  }
}

/** A big-endian number of 1, 2 or 4 bytes. */
function lengthAt(bytes: Uint8Array, at: number, size: number): number {
  let length = 0;
  for (let index = at; index < at + size; index++) length = length * 256 + (bytes[index] as number);
  return length;
}

function textIsUtf8(bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from < SHORT_TEXT_BYTES) {
    let at = from;
    while (at < to && (bytes[at] as number) < 0x80) at++;
    if (at === to) return true;
  }
  return isUtf8(bytes.subarray(from, to));
}

/**
 * Our encoder writes integers beyond 32 bits as floats, and others tell the two apart: a time in milliseconds is to come as
 * what it is. The form is as long.
 */
function writeWholeAsInteger(bytes: Uint8Array, at: number): void {
  // The exponent says which floats can be meant: from 2^31 to 2^53, of either sign.
  const exponent = lengthAt(bytes, at + 1, 2) & 0x7ff0;
  if (exponent < 0x41e0 || exponent > 0x4340) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, 9);
  const value = view.getFloat64(1);
  if (!Number.isInteger(value) || Math.abs(value) > 2 ** 53) return;
  view.setUint8(0, 0xd3);
  view.setBigInt64(1, BigInt(value));
}

/** From -2^53 to 2^53; a JavaScript number would be another one beyond. */
function checkInteger(token: number, bytes: Uint8Array, at: number): void {
  const high = lengthAt(bytes, at, 4);
  const low = lengthAt(bytes, at + 4, 4);
  if (high < HIGHEST_HALF || (high === HIGHEST_HALF && low === 0)) return;
  if (token === 0xd3 && high >= LOWEST_HALF) return;
  throw new BadFrame('an integer beyond 2^53');
}
