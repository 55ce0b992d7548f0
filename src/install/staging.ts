import {
  closeSync,
  constants,
  fchmodSync,
  linkSync,
  mkdirSync,
  openSync,
  statfsSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { formatBytes } from '../base/bytes.ts';
import { Failure } from '../base/failure.ts';
import { printable } from '../base/printable.ts';
import { TOP } from './listing.ts';

/** What a version may be made of; whoever sends more is not believed. */
export interface Bounds {
  /** Files, directories and links. */
  readonly entries: number;
  /** Content of all files. */
  readonly bytes: number;
  /** That have to stay free on the file system. */
  readonly room: number;
}

export const BOUNDS: Bounds = { entries: 200_000, bytes: 64 * 1024 ** 3, room: 64 * 1024 ** 2 };

const LONGEST_PATH = 1024;
const DEEPEST = 64;
/** The file system is asked for its room again after so many bytes. */
const ROOM_STEP = 16 * 1024 ** 2;

type Kind = 'directory' | 'file' | 'link';

/**
 * A directory that is being filled with what somebody else made. Nothing is written but below directories that were made
 * here, so no link leads a write elsewhere; and no more than the bounds. Files and directories are readable, and
 * executable if they were at all; nobody can write to them, and no other bit of their modes is kept.
 * Every refusal is a Failure BH420 with the path. Paths are bytes (latin1).
 */
export class Staging {
  readonly directory: string;
  readonly #bounds: Bounds;
  readonly #made = new Map<string, Kind>([[TOP, 'directory']]);
  /** What was added; a directory counts each time it is named. */
  #entries = 1;
  #bytes = 0;
  #roomAsked = -ROOM_STEP;

  /** Makes the directory, which must not be there. */
  constructor(directory: string, bounds: Bounds) {
    this.directory = directory;
    this.#bounds = bounds;
    mkdirSync(directory, { mode: 0o700 });
  }

  /** Makes the directory and those above it. */
  addDirectory(name: string): void {
    this.#count();
    this.#makeDirectory(checkedPath(name));
  }

  async addFile(name: string, mode: number, size: number, content: AsyncIterable<Buffer>): Promise<void> {
    const path = this.#place(name, 'file');
    if (this.#bytes + size > this.#bounds.bytes) throw this.#tooMuch();
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const fd = openSync(this.#at(path), flags, 0o600);
    try {
      for await (const piece of content) this.#write(fd, piece);
      fchmodSync(fd, (mode & 0o111) === 0 ? 0o444 : 0o555);
    } finally {
      closeSync(fd);
    }
  }

  addLink(name: string, target: string): void {
    if (target === '' || target.length > LONGEST_PATH) throw refused(name, 'is a link to a path that is none');
    const path = this.#place(name, 'link');
    symlinkSync(Buffer.from(target, 'latin1'), this.#at(path));
  }

  /** Another name for a file that was added before. */
  addHardLink(name: string, target: string): void {
    const to = checkedPath(target);
    if (this.#made.get(to) !== 'file')
      throw refused(name, `is another name of '${shown(target)}', which is no file here`);
    const path = this.#place(name, 'file');
    linkSync(this.#at(to), this.#at(path));
  }

  #write(fd: number, piece: Buffer): void {
    this.#bytes += piece.length;
    if (this.#bytes > this.#bounds.bytes) throw this.#tooMuch();
    if (this.#bytes - this.#roomAsked >= ROOM_STEP) this.#askRoom();
    for (let written = 0; written < piece.length; ) written += writeSync(fd, piece, written);
  }

  #askRoom(): void {
    this.#roomAsked = this.#bytes;
    const { bavail, bsize } = statfsSync(this.directory);
    if (bavail * bsize < this.#bounds.room)
      throw new Failure('BH420', `there is no room for it: less than ${formatBytes(this.#bounds.room)} would be left`);
  }

  /** The path of something new, with the directories above it. */
  #place(name: string, kind: Kind): string {
    const path = checkedPath(name);
    if (this.#made.has(path)) throw refused(name, 'is there twice');
    this.#makeDirectory(path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : TOP);
    this.#count();
    this.#made.set(path, kind);
    return path;
  }

  #makeDirectory(path: string): void {
    const there = this.#made.get(path);
    if (there === 'directory') return;
    if (there !== undefined) throw refused(path, 'is a directory and something else');
    if (path.includes('/')) this.#makeDirectory(path.slice(0, path.lastIndexOf('/')));
    this.#count();
    this.#made.set(path, 'directory');
    mkdirSync(this.#at(path), { mode: 0o700 });
  }

  #count(): void {
    this.#entries += 1;
    if (this.#entries > this.#bounds.entries)
      throw new Failure('BH420', `it has more than ${this.#bounds.entries} files, directories and links`);
  }

  #at(path: string): Buffer {
    return Buffer.concat([Buffer.from(`${this.directory}/`), Buffer.from(path, 'latin1')]);
  }

  #tooMuch(): Failure {
    return new Failure('BH420', `it has more than ${formatBytes(this.#bounds.bytes)} of content`);
  }
}

/** The path in its plain form; '.' for the top. */
function checkedPath(name: string): string {
  if (name.startsWith('/')) throw refused(name, 'is an absolute path');
  const steps = name.split('/').filter((step) => step !== '' && step !== '.');
  if (steps.includes('..')) throw refused(name, "leads out of the version: it has a '..'");
  if (steps.length > DEEPEST) throw refused(name, `is more than ${DEEPEST} directories deep`);
  const path = steps.join('/');
  if (path.length > LONGEST_PATH || steps.some((step) => step.length > 255)) throw refused(name, 'is too long a name');
  return path === '' ? TOP : path;
}

function refused(name: string, why: string): Failure {
  return new Failure('BH420', `'${shown(name)}' ${why}`);
}

function shown(name: string): string {
  return printable(Buffer.from(name, 'latin1').toString(), 200);
}
