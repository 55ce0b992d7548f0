import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { promisify } from 'node:util';
import { Failure } from '../base/failure.ts';
import { makeDirectory } from '../kernel/files.ts';

const COMPILE_TIMEOUT_MS = 10_000;

/**
 * Compiled seccomp filters, one for each profile and content of the lists, below /run: compiling takes tens of
 * milliseconds, loading microseconds. The name carries a digest of all lists and of the compiler, so that a package
 * upgrade makes new filters and a running sandbox keeps its own.
 */
export class FilterCache {
  readonly #lists: string;
  readonly #compiler: string;
  readonly #cache: string;
  readonly #compiled = new Map<string, Promise<string>>();

  constructor(paths: { readonly lists: string; readonly compiler: string; readonly cache: string }) {
    this.#lists = paths.lists;
    this.#compiler = paths.compiler;
    this.#cache = paths.cache;
  }

  /** Path of the profile's filter, compiled if need be. Throws BH205 and BH603. */
  prepare(profile: string): Promise<string> {
    const file = `${this.#cache}/${profile}-${this.#digest()}.bpf`;
    const known = this.#compiled.get(file);
    if (known !== undefined) return known;
    const compiling = this.#compile(profile, file);
    this.#compiled.set(file, compiling);
    compiling.catch(() => this.#compiled.delete(file));
    return compiling;
  }

  /** Opens the profile's filter for reading; `prepare` must have succeeded in this boot. */
  open(profile: string): number {
    const file = `${this.#cache}/${profile}-${this.#digest()}.bpf`;
    try {
      return openSync(file, 'r');
    } catch (error) {
      throw new Failure('BH302', `seccomp filter '${file}' cannot be opened`, { cause: error });
    }
  }

  async #compile(profile: string, file: string): Promise<string> {
    makeDirectory(this.#cache, 0o700);
    const list = `${this.#lists}/${profile}.list`;
    if (!/^[a-z0-9-]+$/.test(profile) || !exists(list)) throw new Failure('BH205', `'${profile}' (no file ${list})`);
    if (exists(file)) return file;
    try {
      await promisify(execFile)(this.#compiler, ['compile', list, '-o', file], { timeout: COMPILE_TIMEOUT_MS });
    } catch (error) {
      const { stderr, message } = error as { stderr?: string; message: string };
      throw new Failure('BH603', (stderr ?? '').trim() || message, { cause: error });
    }
    return file;
  }

  #digest(): string {
    const hash = createHash('sha256');
    for (const name of readdirSync(this.#lists).sort()) {
      if (name.endsWith('.list'))
        hash
          .update(name)
          .update('\0')
          .update(readFileSync(`${this.#lists}/${name}`));
    }
    const { mtimeMs, size } = statSync(this.#compiler);
    return hash.update(`${mtimeMs} ${size}`).digest('hex').slice(0, 16);
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
