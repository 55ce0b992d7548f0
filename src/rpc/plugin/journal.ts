import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { lockFile } from './addon.ts';
import { ID_BYTES, KIND, MOST_CONTENT_BYTES, writeRecord } from './journal-record.ts';
import { PluginError } from './plugin-error.ts';
import { type Replay, replayFile } from './replay.ts';
import { stateDirectory, syncDirectory } from './state-directory.ts';

/** A journal that is so large takes no more until all of it is finished. */
const MOST_BYTES = 64 * 1024 * 1024;
/** Somebody who replays may lock a file that was just made, and remove it. */
const MOST_TRIES = 10;

interface Append {
  readonly record: Buffer;
  /** Whether it has to be on the disk before `resolve`. */
  readonly sync: boolean;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** What this process has accepted and not finished; another one does it, should this one die (docs/checkpoints.md). */
export class Journal {
  readonly #directory: string;
  readonly #name: string;
  readonly #file: FileHandle;
  readonly #open = new Set<string>();
  #queue: Append[] = [];
  #writing = false;
  /** Bytes of whole records, and of those that wait to be written. */
  #written = 0;
  #queued = 0;
  #closed = false;

  private constructor(directory: string, name: string, file: FileHandle) {
    this.#directory = directory;
    this.#name = name;
    this.#file = file;
  }

  /** @throws Error without $STATE_DIRECTORY, without the addon, and of the file system. */
  static async open(environment: NodeJS.ProcessEnv): Promise<Journal> {
    const directory = await stateDirectory(environment, 'journal');
    const sandbox = environment.BULKHEAD_SANDBOX;
    const owner = sandbox === undefined || sandbox === '' || sandbox.includes('/') ? 'by-hand' : sandbox;
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const name = `${owner}-${randomBytes(4).toString('hex')}.log`;
      const flags = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR | constants.O_APPEND;
      const file = await open(join(directory, name), flags, 0o600);
      try {
        if (lockFile(file.fd) && (await file.stat()).nlink > 0) {
          await syncDirectory(directory);
          return new Journal(directory, name, file);
        }
      } catch (error) {
        await file.close();
        throw error;
      }
      await file.close();
    }
    throw new Error(`no journal can be kept in '${directory}': others remove it`);
  }

  /**
   * Notes that something was accepted; when it resolves, that is on the disk.
   * @param content at most 1 MiB: what is needed to do it again.
   * @returns its id, 16 bytes, which finish() takes.
   * @throws RangeError for more, PluginError `journal-full`, and Error of the file system.
   */
  async accept(content: Uint8Array): Promise<Buffer> {
    if (content.length > MOST_CONTENT_BYTES)
      throw new RangeError(`${content.length} bytes are over the ${MOST_CONTENT_BYTES} of an entry`);
    const id = randomBytes(ID_BYTES);
    const record = writeRecord(KIND.accepted, id, content);
    if (this.#written + this.#queued + record.length > MOST_BYTES)
      throw new PluginError('journal-full', `the journal has ${this.#open.size} entries that are not finished`);
    const key = id.toString('latin1');
    this.#open.add(key);
    try {
      await this.#append(record, true);
    } catch (error) {
      this.#open.delete(key);
      throw error;
    }
    return id;
  }

  /** It is done, and nobody is to do it again. @throws RangeError for an id that is not open. */
  async finish(id: Uint8Array): Promise<void> {
    const key = Buffer.from(id).toString('latin1');
    if (!this.#open.delete(key)) throw new RangeError('no entry of this id is open');
    await this.#append(writeRecord(KIND.finished, id), false);
  }

  /**
   * Hands out what processes that are dead have accepted and not finished, one after the other, each at most once, whoever
   * dies meanwhile.
   * @returns how many were handed out.
   * @throws AggregateError of what the function threw, when all have been handed out.
   */
  async replay(handle: Replay): Promise<number> {
    const failed: unknown[] = [];
    let count = 0;
    for (const name of await readdir(this.#directory)) {
      if (!name.endsWith('.log') || name === this.#name) continue;
      count += await replayFile(join(this.#directory, name), handle, failed);
    }
    if (failed.length > 0) throw new AggregateError(failed, `${failed.length} of ${count} entries failed`);
    return count;
  }

  /** Gives the lock up; what is open may be replayed by others. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }

  #append(record: Buffer, sync: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new Error('the journal is closed'));
      this.#queue.push({ record, sync, resolve, reject });
      this.#queued += record.length;
      if (!this.#writing) void this.#write();
    });
  }

  /** All that wait are written and synced together. */
  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      this.#queued = 0;
      const bytes = Buffer.concat(batch.map(({ record }) => record));
      try {
        const { bytesWritten } = await this.#file.write(bytes);
        if (bytesWritten !== bytes.length)
          throw new Error(`only ${bytesWritten} of ${bytes.length} bytes could be written`);
        if (batch.some(({ sync }) => sync)) await this.#file.datasync();
        this.#written += bytes.length;
        if (this.#open.size === 0 && this.#queue.length === 0) {
          await this.#file.truncate(0);
          this.#written = 0;
        }
        for (const { resolve } of batch) resolve();
      } catch (error) {
        // What is behind a record that is not whole would never be read.
        await this.#file.truncate(this.#written).catch(() => {});
        for (const { reject } of batch) reject(error instanceof Error ? error : new Error(String(error)));
      }
    }
    this.#writing = false;
  }
}
