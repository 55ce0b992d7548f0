import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32, crc32InTurns } from './crc32.ts';
import { stateDirectory, syncDirectory } from './state-directory.ts';

/** State that is found again after a restart and an upgrade: docs/checkpoints.md. */

const MAGIC = 'BKCHK001';
/** Magic, checksum, time. */
const HEAD_BYTES = 20;
const CHECKED_FROM = 12;
export const MOST_CONTENT_BYTES = 64 * 1024 * 1024;
const MOST_SCHEMAS = 4;
/** A file that is being written for longer than this has been left behind. */
const LEFT_BEHIND_MS = 3_600_000;
const NAME = /^[a-z0-9-]{1,64}$/;
const HIGHEST_SCHEMA = 2 ** 32 - 1;

export interface CheckpointOptions {
  /** Which form the content has, 0 to 2^32-1. Files of higher ones are left alone: a rollback finds its own. Default 0. */
  readonly schema?: number;
}

export interface Saved {
  /** Of the content; below our own, it is to be converted. */
  readonly schema: number;
  readonly savedAt: Date;
  readonly content: Buffer;
}

export class Checkpoint {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #name: string;
  readonly #schema: number;
  /** One save after the other, so that the last one that was asked for is the one that lasts. */
  #last: Promise<unknown> = Promise.resolve();

  /** @throws RangeError for a name or schema that is none. */
  constructor(environment: NodeJS.ProcessEnv, name: string, options: CheckpointOptions = {}) {
    const { schema = 0 } = options;
    if (!NAME.test(name)) throw new RangeError(`'${name}' is not a name: 1 to 64 of a-z, 0-9 and '-'`);
    if (!Number.isInteger(schema) || schema < 0 || schema > HIGHEST_SCHEMA)
      throw new RangeError(`${schema} is not a schema: 0 to 2^32-1`);
    this.#environment = environment;
    this.#name = name;
    this.#schema = schema;
  }

  /**
   * Replaces what was saved before; when it resolves, the content is on the disk. Whoever dies meanwhile has the old one.
   * @param content at most 64 MiB; not to be changed until then.
   * @throws RangeError for more, and Error of the file system.
   */
  save(content: Uint8Array): Promise<void> {
    if (content.length > MOST_CONTENT_BYTES)
      return Promise.reject(
        new RangeError(`${content.length} bytes are over the ${MOST_CONTENT_BYTES} of a checkpoint`),
      );
    const saved = this.#last.then(() => this.#save(content));
    this.#last = saved.catch(() => {});
    return saved;
  }

  /** The content that was saved last, as find() finds it. */
  async restore(): Promise<Buffer | undefined> {
    return (await this.find())?.content;
  }

  /**
   * What was saved last with the highest schema that is not above our own; undefined when there is nothing.
   * A file that is damaged gets another name, and the next lower schema is taken.
   */
  async find(): Promise<Saved | undefined> {
    const directory = await stateDirectory(this.#environment, 'checkpoint');
    for (const schema of (await this.#schemas(directory)).reverse()) {
      if (schema > this.#schema) continue;
      const path = this.#path(directory, schema);
      const found = await readCheckpoint(path);
      if (found !== undefined) return { schema, ...found };
      // Another sandbox that starts at the same time may have been faster.
      await rename(path, `${path}.damaged`).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
    }
    return undefined;
  }

  async #save(content: Uint8Array): Promise<void> {
    const directory = await stateDirectory(this.#environment, 'checkpoint');
    const head = Buffer.alloc(HEAD_BYTES);
    head.write(MAGIC, 0, 'latin1');
    head.writeBigUInt64BE(BigInt(Date.now()), CHECKED_FROM);
    head.writeUInt32BE(await crc32InTurns(content, crc32(head.subarray(CHECKED_FROM))), 8);
    const made = join(directory, `.${this.#name}.${this.#schema}.${randomBytes(8).toString('hex')}`);
    try {
      const file = await open(made, 'wx', 0o600);
      try {
        const { bytesWritten } = await file.writev([head, content]);
        if (bytesWritten !== HEAD_BYTES + content.length)
          throw new Error(`only ${bytesWritten} bytes could be written`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(made, this.#path(directory, this.#schema));
    } catch (error) {
      await unlink(made).catch(() => {});
      throw error;
    }
    await syncDirectory(directory);
    const schemas = await this.#schemas(directory);
    // Our own is never among those that go.
    const others = schemas.filter((schema) => schema !== this.#schema);
    for (const schema of others.slice(0, Math.max(0, schemas.length - MOST_SCHEMAS)))
      await unlink(this.#path(directory, schema)).catch(() => {});
    await this.#sweep(directory);
  }

  /** Removes what those have left who died while they saved. */
  async #sweep(directory: string): Promise<void> {
    for (const file of await readdir(directory)) {
      if (!file.startsWith(`.${this.#name}.`)) continue;
      const path = join(directory, file);
      const status = await stat(path).catch(() => undefined);
      if (status !== undefined && Date.now() - status.mtimeMs > LEFT_BEHIND_MS) await unlink(path).catch(() => {});
    }
  }

  #path(directory: string, schema: number): string {
    return join(directory, `${this.#name}.${schema}`);
  }

  /** The lowest first. */
  async #schemas(directory: string): Promise<number[]> {
    const found: number[] = [];
    for (const file of await readdir(directory)) {
      const [name, schema, ...more] = file.split('.');
      if (name !== this.#name || schema === undefined || more.length > 0 || !/^(?:0|[1-9][0-9]{0,9})$/.test(schema))
        continue;
      if (Number(schema) <= HIGHEST_SCHEMA) found.push(Number(schema));
    }
    return found.sort((one, other) => one - other);
  }
}

/** undefined for a file that is not as it was written. */
async function readCheckpoint(path: string): Promise<Omit<Saved, 'schema'> | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Another sandbox may have just tidied up.
    if (code === 'ELOOP' || code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { size } = await file.stat();
    if (size < HEAD_BYTES || size > HEAD_BYTES + MOST_CONTENT_BYTES) return undefined;
    const bytes = Buffer.alloc(size);
    const { bytesRead } = await file.read(bytes, 0, size, 0);
    if (bytesRead !== size || bytes.toString('latin1', 0, 8) !== MAGIC) return undefined;
    if ((await crc32InTurns(bytes.subarray(CHECKED_FROM))) !== bytes.readUInt32BE(8)) return undefined;
    return { savedAt: new Date(Number(bytes.readBigUInt64BE(CHECKED_FROM))), content: bytes.subarray(HEAD_BYTES) };
  } finally {
    await file.close();
  }
}
