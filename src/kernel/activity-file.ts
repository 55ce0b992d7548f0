import { closeSync, constants, fchownSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import { removeFile } from './files.ts';

/**
 * Makes a sandbox's page, of zeros: a file of the payload's ids that nobody else may open. One that is there is of a
 * sandbox that was never started, and goes. Throws BH313.
 */
export function makeActivityFile(path: string, bytes: number, owner: { uid: number; gid: number }): void {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  try {
    removeFile(path);
    const fd = openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      ftruncateSync(fd, bytes);
      fchownSync(fd, owner.uid, owner.gid);
      const { mode, uid, gid, size, nlink } = fstatSync(fd);
      const asMade = mode === (constants.S_IFREG | 0o600) && uid === owner.uid && gid === owner.gid;
      if (!asMade || size !== bytes || nlink !== 1) throw new Error('it is not as it was made');
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new Failure('BH313', `'${path}': ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Opens a page to be read; the descriptor may be kept. Undefined when there is none, or none that can be read now: its
 * owner may hold a lease on it (fcntl(2)), for which nobody waits.
 */
export function openActivityFile(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EAGAIN') return undefined;
    throw error;
  }
}

/** What is in an open page now, at most `bytes`; less when its owner cut it. Never mapped: that could raise SIGBUS. */
export function readActivityFile(fd: number, bytes: number): Buffer {
  const page = Buffer.alloc(bytes);
  return page.subarray(0, readSync(fd, page, 0, bytes, 0));
}
