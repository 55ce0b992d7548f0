import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { promisify } from 'node:util';
import { Failure } from '../base/failure.ts';
import { makeDirectory } from '../kernel/files.ts';

const COMPILE_TIMEOUT_MS = 10_000;
/** Size of struct sock_filter (seccomp(2)). */
const INSTRUCTION_BYTES = 8;

/** A filter to be handed out. */
export interface OpenFilter {
  readonly fd: number;
  /** SHA-256 of its content, in hex digits. */
  readonly digest: string;
}

/**
 * Compiled seccomp filters, one for each profile and content of the lists, below /run: compiling takes tens of
 * milliseconds, loading microseconds. The name carries a digest of all lists and of the compiler, so that a package
 * upgrade makes new filters and a running sandbox keeps its own. A filter is given out only if its content is what
 * this supervisor compiled; one that was damaged or replaced, or is of an earlier supervisor, is compiled anew.
 */
export class FilterCache {
  readonly #lists: string;
  readonly #compiler: string;
  readonly #cache: string;
  /** By file: digest of the content. */
  readonly #compiled = new Map<string, Promise<string>>();
  /** Of which files the digest is. */
  #stamped: { readonly stamp: string; readonly digest: string } | undefined;

  constructor(paths: { readonly lists: string; readonly compiler: string; readonly cache: string }) {
    this.#lists = paths.lists;
    this.#compiler = paths.compiler;
    this.#cache = paths.cache;
  }

  /** Makes sure that the profile's filter can be opened. Throws BH205 and BH603. */
  async prepare(profile: string): Promise<void> {
    closeSync((await this.open(profile)).fd);
  }

  /** Opens the profile's filter for reading, compiled if need be. Throws BH205 and BH603. */
  async open(profile: string): Promise<OpenFilter> {
    const file = this.#file(profile);
    const digest = await this.#digestOf(profile, file);
    const fd = openIntact(file, digest);
    if (fd !== undefined) return { fd, digest };
    const anew = await this.#compile(profile, file);
    const again = openIntact(file, anew);
    if (again === undefined) throw new Failure('BH603', `'${file}' changes while it is used`);
    return { fd: again, digest: anew };
  }

  /** SHA-256 of what the profile's lists compile to now, in hex digits. Throws BH205 and BH603. */
  async digest(profile: string): Promise<string> {
    return this.#digestOf(profile, this.#file(profile));
  }

  #digestOf(profile: string, file: string): Promise<string> {
    return this.#compiled.get(file) ?? this.#compile(profile, file);
  }

  /** Compiles once for all who ask meanwhile; a failure is not remembered. */
  #compile(profile: string, file: string): Promise<string> {
    const compiling = this.#run(`${this.#lists}/${profile}.list`, file);
    this.#compiled.set(file, compiling);
    compiling.catch(() => this.#compiled.delete(file));
    return compiling;
  }

  async #run(list: string, file: string): Promise<string> {
    try {
      makeDirectory(this.#cache, 0o700);
      await promisify(execFile)(this.#compiler, ['compile', list, '-o', file], { timeout: COMPILE_TIMEOUT_MS });
      const filter = readFileSync(file);
      if (filter.length === 0 || filter.length % INSTRUCTION_BYTES !== 0)
        throw new Failure('BH603', `${list}: '${this.#compiler}' made no filter`);
      return digestOf(filter);
    } catch (error) {
      if (error instanceof Failure) throw error;
      const { stderr, message } = error as { stderr?: string; message: string };
      throw new Failure('BH603', (stderr ?? '').trim() || message, { cause: error });
    }
  }

  #file(profile: string): string {
    const list = `${this.#lists}/${profile}.list`;
    if (!/^[a-z0-9-]+$/.test(profile) || !exists(list)) throw new Failure('BH205', `'${profile}' (no file ${list})`);
    return `${this.#cache}/${profile}-${this.#digest()}.bpf`;
  }

  /** Digest of the lists and the compiler; they are read again only when one of them has changed. */
  #digest(): string {
    try {
      const names = readdirSync(this.#lists).filter((name) => name.endsWith('.list'));
      const files = [...names.sort().map((name) => `${this.#lists}/${name}`), this.#compiler];
      const stamp = files.map(stampOf).join(' ');
      if (this.#stamped?.stamp === stamp) return this.#stamped.digest;
      const hash = createHash('sha256');
      for (const file of files) hash.update(file).update('\0').update(readFileSync(file));
      this.#stamped = { stamp, digest: hash.digest('hex').slice(0, 16) };
      return this.#stamped.digest;
    } catch (error) {
      throw new Failure('BH603', (error as Error).message, { cause: error });
    }
  }
}

/** Changes with the file's content, mode and owner: all of them move the time of status change (inode(7)). */
function stampOf(file: string): string {
  const { ino, size, ctimeNs } = statSync(file, { bigint: true });
  return `${file} ${ino} ${size} ${ctimeNs}`;
}

/** The open file, at its beginning, if its content has the digest; undefined too for one that cannot be read. */
function openIntact(file: string, digest: string): number | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(file, 'r');
    const filter = Buffer.alloc(fstatSync(fd).size);
    // By offset, so that the position stays at the beginning.
    const length = readSync(fd, filter, 0, filter.length, 0);
    if (digestOf(filter.subarray(0, length)) === digest) return fd;
  } catch {
    // The compiler makes it anew, or says why it cannot.
  }
  if (fd !== undefined) closeSync(fd);
  return undefined;
}

function digestOf(filter: Uint8Array): string {
  return createHash('sha256').update(filter).digest('hex');
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
