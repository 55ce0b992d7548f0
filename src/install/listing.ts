/**
 * The canonical listing of a version's directory: what its digest is taken over, and what is compared with the directory
 * before it is used. `docs/internals.md` has the form, and a way to make it by hand.
 *
 * Paths and targets are bytes: texts in which each character is one byte (latin1), relative to the top, which is '.'.
 */
export type Entry = DirectoryEntry | FileEntry | LinkEntry;

export interface DirectoryEntry {
  readonly kind: 'directory';
  readonly path: string;
  /** Permission bits, set-uid and the like among them. */
  readonly mode: number;
}

export interface FileEntry {
  readonly kind: 'file';
  readonly path: string;
  readonly mode: number;
  readonly size: number;
  /** sha256 of the content, 64 hex digits. */
  readonly digest: string;
}

export interface LinkEntry {
  readonly kind: 'link';
  readonly path: string;
  readonly target: string;
}

export const TOP = '.';

/** The name that the listing, and people, have for a path. */
export function shownPath(path: string): string {
  return path === TOP ? path : `./${path}`;
}

/** By bytes, as `LC_ALL=C sort` does. */
export function byPath(one: { readonly path: string }, other: { readonly path: string }): number {
  const [left, right] = [shownPath(one.path), shownPath(other.path)];
  return left < right ? -1 : Number(left > right);
}

/** The entry's part of the listing: fields between blanks, the path last; each text ends with NUL. */
export function formatEntry(entry: Entry): string {
  const path = shownPath(entry.path);
  if (entry.kind === 'directory') return `d ${entry.mode.toString(8)} ${path}\0`;
  if (entry.kind === 'link') return `l ${path}\0${entry.target}\0`;
  return `f ${entry.mode.toString(8)} ${entry.size} ${entry.digest} ${path}\0`;
}

/** @throws RangeError for a text that `formatEntry` has not made. */
export function parseListing(text: string): Entry[] {
  const entries: Entry[] = [];
  const parts = text.split('\0');
  if (parts.pop() !== '') throw new RangeError('the listing does not end with NUL');
  for (let at = 0; at < parts.length; at++) {
    const line = parts[at] ?? '';
    const link = /^l (.+)$/s.exec(line);
    if (link !== null) {
      at += 1;
      const target = parts[at];
      if (target === undefined) throw new RangeError('the listing ends within a link');
      entries.push({ kind: 'link', path: withoutTop(link[1]), target });
    } else entries.push(parseLine(line));
  }
  return entries;
}

function parseLine(line: string): Entry {
  const directory = /^d ([0-7]{1,4}) (.+)$/s.exec(line);
  if (directory !== null)
    return { kind: 'directory', path: withoutTop(directory[2]), mode: Number.parseInt(directory[1] ?? '', 8) };
  const file = /^f ([0-7]{1,4}) (\d{1,16}) ([0-9a-f]{64}) (.+)$/s.exec(line);
  if (file === null) throw new RangeError('the listing has a line of no known form');
  const [, mode = '', size, digest = '', path] = file;
  return { kind: 'file', path: withoutTop(path), mode: Number.parseInt(mode, 8), size: Number(size), digest };
}

function withoutTop(shown = ''): string {
  if (shown === TOP) return TOP;
  if (shown.startsWith('./') && shown.length > 2) return shown.slice(2);
  throw new RangeError('the listing has a path of no known form');
}

/** What an entry is, for people who look for a difference. */
export function describeEntry(entry: Entry | undefined): string {
  if (entry === undefined) return 'nothing';
  if (entry.kind === 'link') return `a link to '${Buffer.from(entry.target, 'latin1').toString()}'`;
  const mode = entry.mode.toString(8).padStart(4, '0');
  if (entry.kind === 'directory') return `a directory of mode ${mode}`;
  return `a file of mode ${mode}, ${entry.size} bytes, sha256 ${entry.digest.slice(0, 16)}`;
}
