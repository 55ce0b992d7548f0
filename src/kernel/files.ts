import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** No state file of ours comes near this size; a larger one is damaged. */
const LARGEST_STATE_BYTES = 4 * 1024 * 1024;

/**
 * Writes the file so that a reader, or the next start after a crash, sees the old content or the new, never a part:
 * temporary file, fsync, rename, fsync of the directory. Mode 0600.
 */
export function writeFileAtomically(path: string, content: string | Buffer): void {
  const temporary = `${path}.new`;
  const fd = openSync(
    temporary,
    constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW,
    0o600,
  );
  try {
    writeFileSync(fd, content);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
  const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/**
 * The same without waiting for the disk: whoever reads it, after a crash of this process, too, sees the old content or
 * the new, but a loss of power may take both.
 */
export function replaceFile(path: string, text: string): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, text, { mode: 0o600 });
  renameSync(temporary, path);
}

/** Makes what was written to the file, and its name, survive a loss of power; waits beside everything else. */
export async function flushFile(path: string): Promise<void> {
  for (const each of [path, dirname(path)]) {
    const handle = await open(each, constants.O_RDONLY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

/** The file's text, or undefined when there is no such file. Throws for a file that is too large to be ours. */
export function readFileIfThere(path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { size } = fstatSync(fd);
    if (size > LARGEST_STATE_BYTES) throw new Error(`'${path}' is larger than ${LARGEST_STATE_BYTES} bytes`);
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

/** Removes the file; not being there is as good. */
export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Names in the directory that end with the suffix; none when the directory is not there. */
export function namesIn(directory: string, suffix: string): string[] {
  try {
    return readdirSync(directory).filter((name) => name.endsWith(suffix));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Makes the directory, and those above it, with exactly this mode whatever the umask; what is there keeps its own. */
export function makeDirectory(path: string, mode: number): void {
  const first = mkdirSync(path, { recursive: true, mode });
  if (first === undefined) return;
  for (let made = resolve(path); made.length >= first.length; made = dirname(made)) chmodSync(made, mode);
}
