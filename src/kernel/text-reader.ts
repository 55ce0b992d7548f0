import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import type { FailureCode } from '../base/failure.ts';
import type { Problem } from '../base/problem.ts';
import type { DeclarationText } from '../declare/declaration.ts';
import { LONGEST_TEXT } from '../declare/yaml-tree.ts';

/** UTF-8 takes at most four bytes for a character; a larger file is too long whatever it holds. */
const LARGEST_BYTES = 4 * LONGEST_TEXT;

/** Reads texts with bounds, each once, and collects why some could not be read. */
export class TextReader {
  readonly problems: Problem[] = [];
  readonly #known = new Map<string, DeclarationText[]>();

  /** The text, or none with a problem. Links are followed: the directories belong to root. */
  read(path: string, format: DeclarationText['format']): DeclarationText[] {
    return this.#once(path, () => [{ file: path, text: readBounded(path, 0), format }]);
  }

  /** The same for a file that may be missing, and that somebody else has made: a link is none. */
  readForeign(path: string): DeclarationText[] {
    return this.#once(path, () => {
      try {
        return [{ file: path, text: readBounded(path, constants.O_NOFOLLOW), format: 'yaml' }];
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        // ENOTDIR: the version is an image.
        if (code === 'ENOENT' || code === 'ENOTDIR') return [];
        throw error;
      }
    });
  }

  /** Adds what is wrong with a file as a whole. */
  add(code: FailureCode, path: string, message: string): void {
    this.problems.push({ code, place: { file: path, line: 1, column: 1 }, message });
  }

  #once(path: string, read: () => DeclarationText[]): DeclarationText[] {
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const texts = this.#explained(path, read);
    this.#known.set(path, texts);
    return texts;
  }

  #explained(path: string, read: () => DeclarationText[]): DeclarationText[] {
    try {
      return read();
    } catch (thrown) {
      const code = thrown instanceof RangeError ? 'BH112' : 'BH113';
      this.add(code, path, explain(thrown));
      return [];
    }
  }
}

/** Opens without waiting, so that a FIFO cannot stop us; reads regular files of a bounded size only, as UTF-8. */
function readBounded(path: string, flags: number): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | flags);
  try {
    const status = fstatSync(fd);
    const { size } = status;
    if (!status.isFile()) throw new Error('it is not a regular file');
    // Problems quote what they are about, and everybody may ask for them: not out of a link to the passwords.
    if ((status.mode & constants.S_IROTH) === 0 && lstatSync(path).isSymbolicLink())
      throw new Error('it is a link to a file that not everybody may read');
    if (size > LARGEST_BYTES) throw new RangeError(`the file has ${size} bytes, ${LARGEST_BYTES} are allowed`);
    const bytes = Buffer.alloc(size);
    let length = 0;
    while (length < size) {
      const read = readSync(fd, bytes, length, size - length, length);
      if (read === 0) break;
      length += read;
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length));
  } finally {
    closeSync(fd);
  }
}

function explain(thrown: unknown): string {
  const error = thrown as NodeJS.ErrnoException;
  if (error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'the file is not UTF-8';
  if (error.code === 'ENOENT') return 'there is no such file';
  if (error.code === 'EACCES') return 'permission denied';
  if (error.code === 'ELOOP') return 'it is a link, and only a file counts here';
  return error.message;
}
