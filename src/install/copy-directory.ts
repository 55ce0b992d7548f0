import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import { printable } from '../base/printable.ts';
import type { Staging } from './staging.ts';

/**
 * Copies a directory that somebody else may be writing to at the same time. Each step is taken from a directory that is
 * open already, so that nobody puts a link in the way of it and has root read what is elsewhere.
 */
export async function copyDirectory(source: string, staging: Staging): Promise<void> {
  const top = openSync(source, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await copyBelow(top, '', staging);
  } finally {
    closeSync(top);
  }
}

async function copyBelow(directory: number, prefix: string, staging: Staging): Promise<void> {
  for (const name of readdirSync(within(directory, ''), { encoding: 'latin1' }).sort()) {
    const path = prefix === '' ? name : `${prefix}/${name}`;
    const place = within(directory, name);
    const found = lstatSync(place);
    if (found.isSymbolicLink()) staging.addLink(path, readlinkSync(place, { encoding: 'latin1' }));
    else if (found.isDirectory()) await copyInto(place, path, staging);
    else if (found.isFile()) await copyFile(place, path, staging);
    else throw new Failure('BH420', `'${shown(path)}' is neither a file, nor a directory, nor a link`);
  }
}

async function copyInto(place: Buffer, path: string, staging: Staging): Promise<void> {
  const fd = openSync(place, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    staging.addDirectory(path);
    await copyBelow(fd, path, staging);
  } finally {
    closeSync(fd);
  }
}

async function copyFile(place: Buffer, path: string, staging: Staging): Promise<void> {
  const fd = openSync(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { mode, size } = fstatSync(fd);
    if (!fstatSync(fd).isFile()) throw new Failure('BH420', `'${shown(path)}' has changed while it was copied`);
    await staging.addFile(path, mode, size, piecesOf(fd));
  } finally {
    closeSync(fd);
  }
}

/** What can be read of the descriptor, which stays open: a stream of Node.js's would close it in the end. */
export async function* piecesOf(fd: number): AsyncGenerator<Buffer> {
  for (;;) {
    const piece = Buffer.allocUnsafe(1 << 18);
    const count = readSync(fd, piece);
    if (count === 0) return;
    yield piece.subarray(0, count);
  }
}

/** The name below an open directory; '' for itself. */
function within(directory: number, name: string): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), Buffer.from(name, 'latin1')]);
}

function shown(path: string): string {
  return printable(Buffer.from(path, 'latin1').toString(), 200);
}
