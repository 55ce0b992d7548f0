import { constants } from 'node:fs';
import { type FileHandle, open, stat, unlink } from 'node:fs/promises';
import { lockFile } from './addon.ts';
import { KIND, readRecords, writeRecord } from './journal-record.ts';

/** A journal with all that a replay adds is smaller than this; what is larger was not written by us. */
const MOST_BYTES = 160 * 1024 * 1024;

/** Does what was accepted; what it throws counts as done, since nobody knows how much of it was. */
export type Replay = (id: Buffer, content: Buffer) => Promise<void> | void;

/**
 * Hands out what is open in the journal of a process that is dead, and removes it. That each is noted as handed out before
 * it is, on the disk, makes it at most once.
 * @param failed what the function threw is put there.
 * @returns how many were handed out; 0 for a journal whose process lives, or that somebody else replays.
 */
export async function replayFile(path: string, handle: Replay, failed: unknown[]): Promise<number> {
  const file = await openIfThere(path);
  if (file === undefined) return 0;
  try {
    if (!lockFile(file.fd) || !(await isAt(path, file))) return 0;
    const { size } = await file.stat();
    if (size > MOST_BYTES) throw new Error(`'${path}' has ${size} bytes, and no journal has so many`);
    const bytes = Buffer.alloc(size);
    await file.read(bytes, 0, size, 0);
    const { open: entries, whole } = readRecords(bytes);
    // What is appended behind a record that is not whole would not be read by whoever comes when we have died.
    await file.truncate(whole);
    for (const { id, content } of entries) {
      await append(file, writeRecord(KIND.handedOut, id));
      await file.datasync();
      try {
        await handle(id, content);
        await append(file, writeRecord(KIND.finished, id));
      } catch (error) {
        failed.push(error);
      }
    }
    await unlink(path);
    return entries.length;
  } finally {
    await file.close();
  }
}

/** All of it: a full disk may take a part, and what comes behind half a record would not be read. */
async function append(file: FileHandle, record: Buffer): Promise<void> {
  const { bytesWritten } = await file.write(record);
  if (bytesWritten !== record.length)
    throw new Error(`only ${bytesWritten} of ${record.length} bytes could be written`);
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDWR | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether the path still names this file: whoever had the lock before may have removed it. */
async function isAt(path: string, file: FileHandle): Promise<boolean> {
  const [there, ours] = [await stat(path).catch(() => undefined), await file.stat()];
  return ours.isFile() && there !== undefined && there.ino === ours.ino && there.dev === ours.dev;
}
