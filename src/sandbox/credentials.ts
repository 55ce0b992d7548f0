import { chmodSync, closeSync, constants, fstatSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { asFailure, Failure } from '../base/failure.ts';
import { makeDirectory } from '../kernel/files.ts';
import type { PlannedCredential } from '../plan/plan.ts';

/** Bytes that all credentials of a sandbox may have together, as systemd allows its services (systemd.exec(5)). */
const MOST_BYTES = 1024 * 1024;

/** Decrypts a file into another one that is not there yet. */
export type Decrypt = (credential: PlannedCredential, target: string) => Promise<void>;

/**
 * Copies the credentials into the directory. Who may read them is a matter of the directory above, which is root's
 * alone: the files themselves are open, because the sandbox's user is not known to the host, and nobody else sees them
 * inside. Throws BH309 with file and reason.
 */
export async function copyCredentials(
  directory: string,
  credentials: readonly PlannedCredential[],
  decrypt: Decrypt,
): Promise<void> {
  removeCredentials(directory);
  makeDirectory(dirname(directory), 0o700);
  makeDirectory(directory, 0o755);
  let room = MOST_BYTES;
  for (const credential of credentials) {
    const { name, path, encrypted } = credential;
    const target = `${directory}/${name}`;
    try {
      if (encrypted) {
        const clear = `${directory}/.${name}`;
        await decrypt(credential, clear);
        room -= copy(clear, target, room);
        rmSync(clear);
      } else room -= copy(path, target, room);
    } catch (error) {
      throw new Failure('BH309', `'${name}', file '${path}': ${reasonOf(error)}`, { cause: error });
    }
  }
}

/** Removes the copies; not being there is as good. */
export function removeCredentials(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

/** Returns the number of bytes. */
function copy(source: string, target: string, most: number): number {
  const content = read(source, most);
  writeFileSync(target, content, { flag: 'wx' });
  chmodSync(target, 0o444);
  return content.length;
}

/** What the system says without the path, which is told anyway. */
function reasonOf(error: unknown): string {
  return asFailure(error).message.replace(/, \w+ '.*'$/s, '');
}

/** A pipe or a device in the file's place must not hold up the supervisor. */
function read(path: string, most: number): Uint8Array {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!fstatSync(fd).isFile()) throw new Error('it is not a regular file');
    const content = Buffer.alloc(most + 1);
    let length = 0;
    for (;;) {
      const got = readSync(fd, content, length, content.length - length, null);
      if (got === 0) return content.subarray(0, length);
      length += got;
      if (length > most) throw new Error(`with it the credentials have more than ${MOST_BYTES} bytes`);
    }
  } finally {
    closeSync(fd);
  }
}
