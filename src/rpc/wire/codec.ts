import { Packr, RESERVE_START_SPACE, Unpackr } from 'msgpackr/pack';
import { LENGTH_BYTES } from './limits.ts';
import { Scanner } from './scanner.ts';
import { BadFrame, NotSendable } from './wire-error.ts';

/**
 * Values to bytes and back. Plain objects are maps, Uint8Arrays are binaries, undefined is nil. A whole number
 * goes as an integer, up to 2^53. A Date, and whatever else would need an extension, is refused by both ends.
 */

/** The encoder goes on in the same memory for the next messages; after a message beyond this it begins with new one. */
const KEPT_BYTES = 1024 * 1024;
const FRESH_BYTES = 64 * 1024;

const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: true });
// Without the native reader of strings that msgpackr may find: it has to be the same for tests and for what is shipped.
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });
/** For values with a key that the other one would give another name. */
const mapUnpackr = new Unpackr({ useRecords: false, mapsAsObjects: false, int64AsType: 'number' });
const outgoing = new Scanner();
const incoming = new Scanner();
const part = { start: 0, end: 0 };

/**
 * A message with its length before it.
 * @param limit bytes that the receiver takes, without the length.
 * @throws NotSendable
 */
export function encodeFrame(value: unknown, limit: number): Buffer {
  let frame: Buffer;
  try {
    frame = packr.pack(value, RESERVE_START_SPACE | LENGTH_BYTES);
  } catch (error) {
    throw new NotSendable('not-sendable', error instanceof Error ? error.message : 'a value cannot be sent');
  }
  if (frame.length > KEPT_BYTES) packr.useBuffer(Buffer.allocUnsafeSlow(FRESH_BYTES));
  const size = frame.length - LENGTH_BYTES;
  if (size > limit) throw new NotSendable('too-large', `a message of ${size} bytes is over the limit of ${limit}`);
  outgoing.begin(LENGTH_BYTES, true);
  try {
    outgoing.scan(frame, frame.length, frame.length);
  } catch (error) {
    if (error instanceof BadFrame) throw new NotSendable('not-sendable', `cannot be sent: ${error.message}`);
    throw error;
  }
  frame.writeUInt32BE(size, 0);
  return frame;
}

/**
 * The value from `start` to `end` of what was received. Binaries in it are views: they are kept by keeping the bytes.
 * @throws BadFrame
 */
export function decode(bytes: Buffer, start: number, end: number): unknown {
  incoming.begin(start);
  if (!incoming.scan(bytes, end, end)) throw new BadFrame('a value is longer than its message');
  if (incoming.position !== end) throw new BadFrame('something is behind the value');
  return decodeScanned(incoming, bytes, start, end);
}

/** The same of bytes that a scanner has passed over. */
export function decodeScanned(scanner: Scanner, bytes: Buffer, start: number, end: number): unknown {
  part.start = start;
  part.end = end;
  return scanner.sawProto ? withObjects(mapUnpackr.unpack(bytes, part)) : unpackr.unpack(bytes, part);
}

/** Maps as objects whose keys are all their own, whatever they are called. */
function withObjects(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withObjects);
  if (!(value instanceof Map)) return value;
  const object = {};
  for (const [key, each] of value)
    Object.defineProperty(object, key, {
      value: withObjects(each),
      writable: true,
      enumerable: true,
      configurable: true,
    });
  return object;
}
