/** One file in an archive. */
export interface TarEntry {
  readonly name: string;
  readonly size: number;
  /** Seconds since 1970. */
  readonly modified: number;
}

const BLOCK = 512;

/**
 * The header of a regular file of root's in the format of POSIX.1-1988 (ustar), which every tar reads. What follows is
 * the content and padding() zeros.
 * @throws RangeError for a name or a size that does not fit.
 */
export function tarHeader({ name, size, modified }: TarEntry): Uint8Array {
  const header = new Uint8Array(BLOCK);
  const put = (offset: number, text: string, most: number): void => {
    const bytes = new TextEncoder().encode(text);
    if (bytes.length > most) throw new RangeError(`'${text}' does not fit into a tar header`);
    header.set(bytes, offset);
  };
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');
  put(0, name, 100);
  put(100, octal(0o600, 7), 7);
  put(108, octal(0, 7), 7);
  put(116, octal(0, 7), 7);
  put(124, octal(size, 11), 11);
  put(136, octal(Math.floor(modified), 11), 11);
  // The sum is taken with spaces in its own place.
  put(148, '        ', 8);
  put(156, '0', 1);
  put(257, 'ustar\u000000', 8);
  put(265, 'root', 32);
  put(297, 'root', 32);
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, `${octal(sum, 6)}\u0000 `, 8);
  return header;
}

/** Zeros between a file of this size and the next header. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}

/** What ends an archive. */
export const TAR_END = new Uint8Array(2 * BLOCK);
