import { addExtension, Packr, RESERVE_START_SPACE, Unpackr } from 'msgpackr/pack';
import { BodyReference } from './bodies.ts';
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
/** Those of the message that is being decoded. */
let bodies: readonly Uint8Array[] = [];

addExtension({
  Class: BodyReference,
  type: 1,
  pack: ({ index, length }: BodyReference) => {
    const bytes = Buffer.alloc(9);
    bytes.writeUInt8(index, 0);
    bytes.writeBigUInt64BE(BigInt(length), 1);
    return bytes;
  },
  unpack: (bytes: Uint8Array) => bodies[bytes[0] as number],
});

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
  outgoing.begin(LENGTH_BYTES, true, true);
  try {
    outgoing.scan(frame, frame.length, frame.length);
  } catch (error) {
    if (error instanceof BadFrame) throw new NotSendable('not-sendable', `cannot be sent: ${error.message}`);
    throw error;
  }
  frame.writeUInt32BE(size, 0);
  return frame;
}

/** Gives what the bodies of a message have, by their lengths. @throws BadFrame */
export type TakeBodies = (lengths: readonly number[]) => readonly Uint8Array[];

/**
 * The value from `start` to `end` of what was received. Binaries in it are views: they are kept by keeping the bytes.
 * @param takeBodies if bodies have been agreed on.
 * @throws BadFrame
 */
export function decode(bytes: Buffer, start: number, end: number, takeBodies?: TakeBodies): unknown {
  incoming.begin(start, false, takeBodies !== undefined);
  if (!incoming.scan(bytes, end, end)) throw new BadFrame('a value is longer than its message');
  if (incoming.position !== end) throw new BadFrame('something is behind the value');
  if (takeBodies === undefined || incoming.bodies.length === 0) return decodeScanned(incoming, bytes, start, end);
  // A gap among the indexes is a length that is not there.
  if ((incoming.bodies as readonly (number | undefined)[]).includes(undefined))
    throw new BadFrame('bodies that are not mentioned in order');
  bodies = takeBodies([...incoming.bodies]);
  try {
    return decodeScanned(incoming, bytes, start, end);
  } finally {
    bodies = [];
  }
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
