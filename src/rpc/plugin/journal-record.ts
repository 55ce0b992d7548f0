import { crc32 } from './crc32.ts';

/** One record of a journal: length, checksum of the payload, payload (docs/checkpoints.md). */

export const KIND = { accepted: 1, finished: 2, handedOut: 3 } as const;
export const ID_BYTES = 16;
export const MOST_CONTENT_BYTES = 1024 * 1024;
const HEAD_BYTES = 8;
const LEAST_PAYLOAD = 1 + ID_BYTES;

export interface Entry {
  readonly id: Buffer;
  readonly content: Buffer;
}

export function writeRecord(kind: number, id: Uint8Array, content?: Uint8Array): Buffer {
  const payload = LEAST_PAYLOAD + (content?.length ?? 0);
  const record = Buffer.allocUnsafe(HEAD_BYTES + payload);
  record.writeUInt32BE(payload, 0);
  record[HEAD_BYTES] = kind;
  record.set(id, HEAD_BYTES + 1);
  if (content !== undefined) record.set(content, HEAD_BYTES + LEAST_PAYLOAD);
  record.writeUInt32BE(crc32(record.subarray(HEAD_BYTES)), 4);
  return record;
}

/**
 * What a journal says: everything up to the first record that is not whole counts.
 * @returns the entries that are open, in the order in which they were accepted, and how far the journal is whole.
 */
export function readRecords(bytes: Buffer): { readonly open: Entry[]; readonly whole: number } {
  const open = new Map<string, Entry>();
  let at = 0;
  while (bytes.length - at >= HEAD_BYTES + LEAST_PAYLOAD) {
    const length = bytes.readUInt32BE(at);
    if (length < LEAST_PAYLOAD || length > LEAST_PAYLOAD + MOST_CONTENT_BYTES) break;
    const end = at + HEAD_BYTES + length;
    if (end > bytes.length) break;
    const payload = bytes.subarray(at + HEAD_BYTES, end);
    if (crc32(payload) !== bytes.readUInt32BE(at + 4)) break;
    const id = payload.subarray(1, LEAST_PAYLOAD);
    const key = id.toString('latin1');
    if (payload[0] === KIND.accepted) open.set(key, { id, content: payload.subarray(LEAST_PAYLOAD) });
    else open.delete(key);
    at = end;
  }
  return { open: [...open.values()], whole: at };
}
