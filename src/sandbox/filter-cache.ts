import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { promisify } from 'node:util';
import { asFailure, Failure } from '../base/failure.ts';
import type { Problem } from '../base/problem.ts';
import { makeDirectory } from '../kernel/files.ts';
import { seccompDirectories } from '../kernel/host-facts.ts';
import { parseRules, type Rule } from '../learn/rule.ts';
import { parseFilterName } from '../plan/filter-name.ts';
import type { HostPaths } from '../plan/plan.ts';

const COMPILE_TIMEOUT_MS = 10_000;
/** Size of struct sock_filter (seccomp(2)). */
const INSTRUCTION_BYTES = 8;

/** Names of lists; they become parts of paths. */
const PLAIN_NAME = /^[a-z0-9][a-z0-9._-]*$/;

/** A filter to be handed out. */
export interface OpenFilter {
  readonly fd: number;
  /** SHA-256 of its content, in hex digits. */
  readonly digest: string;
}

/** Where all that is, on this installation. */
export function filterPaths(paths: HostPaths): FilterPaths {
  return {
    profiles: seccompDirectories(paths),
    parts: `${paths.lib}/seccomp/parts`,
    compiler: `${paths.lib}/bulkhead-seccomp`,
    cache: `${paths.run}/seccomp`,
  };
}

export interface FilterPaths {
  /** Directories with profiles, the strongest first. */
  readonly profiles: readonly string[];
  /** Directory with the parts that are laid over them. */
  readonly parts: string;
  readonly compiler: string;
  readonly cache: string;
}

/**
 * Compiled seccomp filters, one for each profile with its parts and content of the lists, below /run: compiling takes
 * tens of milliseconds, loading microseconds. They are asked for by the name that `filterName` makes. The file's name carries a digest of all lists and of the compiler, so that a package
 * upgrade makes new filters and a running sandbox keeps its own. A filter is given out only if its content is what
 * this supervisor compiled; one that was damaged or replaced, or is of an earlier supervisor, is compiled anew.
 */
export class FilterCache {
  readonly #paths: FilterPaths;
  /** By file: digest of the content. */
  readonly #compiled = new Map<string, Promise<string>>();
  /** Of which files the digest is. */
  #stamped: { readonly stamp: string; readonly digest: string } | undefined;

  constructor(paths: FilterPaths) {
    this.#paths = paths;
  }

  /** Makes sure that the filter can be opened. Throws BH205 and BH603. */
  async prepare(name: string): Promise<void> {
    closeSync((await this.open(name)).fd);
  }

  /** Opens the filter for reading, compiled if need be. Throws BH205 and BH603. */
  async open(name: string): Promise<OpenFilter> {
    const lists = this.#lists(name);
    const file = this.#file(name);
    const digest = await this.#digestOf(lists, file);
    const fd = openIntact(file, digest);
    if (fd !== undefined) return { fd, digest };
    const anew = await this.#compile(lists, file);
    const again = openIntact(file, anew);
    if (again === undefined) throw new Failure('BH603', `'${file}' changes while it is used`);
    return { fd: again, digest: anew };
  }

  /** SHA-256 of what the lists compile to now, in hex digits. Throws BH205 and BH603. */
  async digest(name: string): Promise<string> {
    return this.#digestOf(this.#lists(name), this.#file(name));
  }

  /** All lines that the filter is made of, included ones and parts among them. Throws BH205 and BH603. */
  async rules(name: string): Promise<readonly Rule[]> {
    const { stdout } = await this.#call('rules', this.#lists(name), []);
    return parseRules(stdout);
  }

  /** What is wrong with the lists of a filter, each at its place. Throws BH205, and BH603 when that cannot be found out. */
  async problems(name: string): Promise<readonly Problem[]> {
    try {
      await this.#call('check', this.#lists(name), []);
      return [];
    } catch (error) {
      const failure = asFailure(error);
      const found = failure.message.split('\n').map(readProblem);
      if (failure.code !== 'BH603' || found.includes(undefined)) throw failure;
      return found.filter((problem) => problem !== undefined);
    }
  }

  #digestOf(lists: readonly string[], file: string): Promise<string> {
    return this.#compiled.get(file) ?? this.#compile(lists, file);
  }

  /** Compiles once for all who ask meanwhile; a failure is not remembered. */
  #compile(lists: readonly string[], file: string): Promise<string> {
    const compiling = this.#run(lists, file);
    this.#compiled.set(file, compiling);
    compiling.catch(() => this.#compiled.delete(file));
    return compiling;
  }

  async #run(lists: readonly string[], file: string): Promise<string> {
    makeDirectory(this.#paths.cache, 0o700);
    await this.#call('compile', lists, ['-o', file]);
    const filter = readFileSync(file);
    if (filter.length === 0 || filter.length % INSTRUCTION_BYTES !== 0)
      throw new Failure('BH603', `${lists[0]}: '${this.#paths.compiler}' made no filter`);
    return digestOf(filter);
  }

  /** Runs the compiler. Throws BH603 with what it has to say about the lists. */
  async #call(verb: string, lists: readonly string[], more: readonly string[]): Promise<{ readonly stdout: string }> {
    const [profile = '', ...parts] = lists;
    const included = this.#paths.profiles.flatMap((directory) => ['--include', directory]);
    const added = parts.flatMap((part) => ['--add', part]);
    const words = [verb, profile, ...added, ...included, ...more];
    try {
      return await promisify(execFile)(this.#paths.compiler, words, { timeout: COMPILE_TIMEOUT_MS });
    } catch (error) {
      const { stderr, message } = error as { stderr?: string; message: string };
      throw new Failure('BH603', (stderr ?? '').trim() || message, { cause: error });
    }
  }

  /** The files of profile and parts. */
  #lists(name: string): readonly string[] {
    const { profile, parts } = parseFilterName(name);
    const files = this.#paths.profiles.map((directory) => `${directory}/${profile}.list`);
    const file = PLAIN_NAME.test(profile) ? files.find(exists) : undefined;
    if (file === undefined) throw new Failure('BH205', `'${profile}' (no file ${files.join(', ')})`);
    const added = parts.map((part) => `${this.#paths.parts}/${part}.list`);
    const strange = parts.findIndex((part, index) => !PLAIN_NAME.test(part) || !exists(added[index] ?? ''));
    if (strange >= 0) throw new Failure('BH205', `'${parts[strange]}' (no file ${added[strange]})`);
    return [file, ...added];
  }

  #file(name: string): string {
    return `${this.#paths.cache}/${name}-${this.#digest()}.bpf`;
  }

  /** Digest of all lists and the compiler; they are read again only when one of them has changed. */
  #digest(): string {
    const { profiles, parts, compiler } = this.#paths;
    try {
      const files = [...[...profiles, parts].flatMap(listsIn), compiler];
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

/** A directory that is not there has no lists. */
function listsIn(directory: string): string[] {
  if (!exists(directory)) return [];
  const names = readdirSync(directory).filter((name) => name.endsWith('.list'));
  return names.sort().map((name) => `${directory}/${name}`);
}

/** `FILE:LINE:COLUMN: BH603 MESSAGE`, as bulkhead-seccomp prints it. */
function readProblem(line: string): Problem | undefined {
  const [, file = '', row, column, message = ''] = /^(.*):(\d+):(\d+): BH603 (.*)$/.exec(line) ?? [];
  if (row === undefined) return undefined;
  return { code: 'BH603', place: { file, line: Number(row), column: Number(column) }, message };
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
