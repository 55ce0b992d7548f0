/** The CRC-32 of zlib; node:zlib has it only from 22.2 on. */
const POLYNOMIAL = 0xedb88320;
/** A few milliseconds' work. */
const TURN_BYTES = 1024 * 1024;

const TABLE = new Int32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = (rest & 1) === 1 ? (rest >>> 1) ^ POLYNOMIAL : rest >>> 1;
  TABLE[byte] = rest;
}

/** @param before of the bytes before these; 0 for the first. */
export function crc32(bytes: Uint8Array, before = 0): number {
  let rest = ~before;
  for (let at = 0; at < bytes.length; at++)
    rest = (TABLE[(rest ^ (bytes[at] as number)) & 0xff] as number) ^ (rest >>> 8);
  return ~rest >>> 0;
}

/** The same of many bytes, which leaves the loop to others in between. */
export async function crc32InTurns(bytes: Uint8Array, before = 0): Promise<number> {
  let sum = before;
  for (let at = 0; at < bytes.length; at += TURN_BYTES) {
    sum = crc32(bytes.subarray(at, at + TURN_BYTES), sum);
    if (at + TURN_BYTES < bytes.length) await new Promise(setImmediate);
  }
  return sum;
}
