import { createHash } from 'node:crypto';
import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import { byPath, type Entry, TOP } from './listing.ts';

/** What is found at a path before its content is read. */
export type Found =
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number; readonly uid: number }
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly size: number; readonly uid: number }
  | { readonly kind: 'link'; readonly path: string; readonly target: string; readonly uid: number }
  /** A device node, a pipe or a socket. */
  | { readonly kind: 'other'; readonly path: string; readonly uid: number };

/** All that is in the tree, itself first, in the order of listings. @throws Failure BH420 beyond so many. */
export function walkTree(top: string, most: number): Found[] {
  const found: Found[] = [];
  const walk = (path: string): void => {
    if (found.length >= most) throw new Failure('BH420', `it has more than ${most} files, directories and links`);
    const entry = lookAt(top, path);
    found.push(entry);
    if (entry.kind !== 'directory') return;
    const prefix = path === TOP ? '' : `${path}/`;
    for (const name of readdirSync(placeOf(top, path), { encoding: 'latin1' })) walk(`${prefix}${name}`);
  };
  walk(TOP);
  return found.sort(byPath);
}

/** The entry with its content. @throws Failure BH420 for what no version can have. */
export function entryOf(top: string, found: Found): Entry {
  const { kind, path } = found;
  if (kind === 'other') throw new Failure('BH420', `'${path}' is neither a file, nor a directory, nor a link`);
  if (kind === 'directory') return { kind, path, mode: found.mode };
  if (kind === 'link') return { kind, path, target: found.target };
  return { kind, path, mode: found.mode, ...contentOf(placeOf(top, path)) };
}

/** Size and sha256 of what can be read from the file now. */
export function contentOf(place: string | Buffer): { readonly size: number; readonly digest: string } {
  const fd = openSync(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const hash = createHash('sha256');
    let size = 0;
    for (;;) {
      const count = readSync(fd, buffer);
      if (count === 0) return { size, digest: hash.digest('hex') };
      size += count;
      hash.update(buffer.subarray(0, count));
    }
  } finally {
    closeSync(fd);
  }
}

const buffer = Buffer.alloc(1 << 20);

function lookAt(top: string, path: string): Found {
  const place = placeOf(top, path);
  const found = lstatSync(place);
  const { uid, size } = found;
  const mode = found.mode & 0o7777;
  if (found.isDirectory()) return { kind: 'directory', path, mode, uid };
  if (found.isFile()) return { kind: 'file', path, mode, size, uid };
  if (found.isSymbolicLink()) return { kind: 'link', path, target: readlinkSync(place, { encoding: 'latin1' }), uid };
  return { kind: 'other', path, uid };
}

/** The path on the disk; paths of listings are bytes. */
export function placeOf(top: string, path: string): Buffer {
  return path === TOP ? Buffer.from(top) : Buffer.concat([Buffer.from(`${top}/`), Buffer.from(path, 'latin1')]);
}
