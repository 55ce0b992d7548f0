import { Failure } from '../base/failure.ts';
import type { ByteSource } from './byte-source.ts';

/** One member of an archive. Names are bytes: each character is one (latin1). */
export type TarMember =
  | { readonly kind: 'directory'; readonly name: string }
  | { readonly kind: 'file'; readonly name: string; readonly size: number; readonly mode: number }
  | { readonly kind: 'link'; readonly name: string; readonly target: string }
  /** Another name for a file that came before. */
  | { readonly kind: 'hard-link'; readonly name: string; readonly target: string };

const BLOCK = 512;
/** Of the names and attributes that come before a member. */
const MOST_EXTENSION_BYTES = 65_536;
const MOST_EXTENSIONS = 8;

/** What extended headers say about the next member. */
interface Extension {
  name?: string;
  target?: string;
  size?: number;
}

/**
 * Reads an archive in the formats of POSIX (ustar and pax) and of GNU tar, member by member. `take` gets each one, and
 * has to read as many bytes of a file from the source as it has. Throws BH420 for what is no archive, breaks off, or has
 * in it what no version may have.
 */
export async function readTar(source: ByteSource, take: (member: TarMember) => Promise<void>): Promise<void> {
  let extension: Extension = {};
  let extensions = 0;
  for (;;) {
    const header = await source.take(BLOCK);
    if (header.every((byte) => byte === 0)) return;
    checkSum(header);
    const size = numberAt(header, 124, 12);
    const type = String.fromCharCode(header[156] ?? 0);
    if (type === 'x' || type === 'g' || type === 'L' || type === 'K') {
      extensions += 1;
      if (size > MOST_EXTENSION_BYTES || extensions > MOST_EXTENSIONS)
        throw new Failure('BH420', 'the archive has a header that is too long');
      const text = (await source.take(size)).toString('latin1');
      await source.skip(paddingOf(size));
      extension = extended(extension, type, text);
      continue;
    }
    const member = memberOf(header, type, size, extension);
    extension = {};
    extensions = 0;
    await take(member);
    if (member.kind === 'file') await source.skip(paddingOf(member.size));
    else if (size !== 0) throw new Failure('BH420', `'${shown(member.name)}' has content and is no file`);
  }
}

function memberOf(header: Buffer, type: string, size: number, extension: Extension): TarMember {
  const name = extension.name ?? nameIn(header);
  const target = extension.target ?? textAt(header, 157, 100);
  switch (type) {
    case '0':
    case '\0':
    case '7':
      // Archives older than POSIX tell a directory by its name.
      if (name.endsWith('/')) return { kind: 'directory', name };
      return { kind: 'file', name, size: extension.size ?? size, mode: numberAt(header, 100, 8) };
    case '1':
      return { kind: 'hard-link', name, target };
    case '2':
      return { kind: 'link', name, target };
    case '5':
      return { kind: 'directory', name };
    case '3':
    case '4':
      throw new Failure('BH420', `'${shown(name)}' is a device node`);
    case '6':
      throw new Failure('BH420', `'${shown(name)}' is a named pipe`);
    default:
      throw new Failure('BH420', `'${shown(name)}' is of type '${shown(type)}', which is not understood`);
  }
}

function extended(extension: Extension, type: string, text: string): Extension {
  if (type === 'L') return { ...extension, name: upToNul(text) };
  if (type === 'K') return { ...extension, target: upToNul(text) };
  // What is said of all members is no name and no size.
  if (type === 'g') return extension;
  const next = { ...extension };
  for (const [key, value] of paxRecords(text)) {
    if (key === 'path') next.name = value;
    else if (key === 'linkpath') next.target = value;
    else if (key === 'size') next.size = wholeNumber(value);
    else if (key.startsWith('GNU.sparse.')) throw new Failure('BH420', 'the archive has a file with holes');
  }
  return next;
}

/** `LENGTH KEY=VALUE\n`, where the length counts all of it. */
function* paxRecords(text: string): Generator<[string, string]> {
  for (let at = 0; at < text.length; ) {
    const length = Number(/^(\d{1,6}) /.exec(text.slice(at, at + 8))?.[1] ?? 0);
    const record = text.slice(at, at + length);
    const match = /^\d+ ([^=]+)=(.*)\n$/s.exec(record);
    if (match === null || record.length !== length) throw new Failure('BH420', 'the archive has a damaged header');
    yield [match[1] ?? '', match[2] ?? ''];
    at += length;
  }
}

/** Only POSIX has a place for the first part of a long name; GNU keeps times there. */
function nameIn(header: Buffer): string {
  const name = textAt(header, 0, 100);
  const prefix = header.toString('latin1', 257, 263) === 'ustar\0' ? textAt(header, 345, 155) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

function textAt(header: Buffer, from: number, length: number): string {
  return upToNul(header.toString('latin1', from, from + length));
}

function upToNul(text: string): string {
  return text.split('\0', 1)[0] ?? '';
}

/** Octal digits, or, when the first bit is set, a binary number (GNU, for what is larger than 8 GiB). */
function numberAt(header: Buffer, from: number, length: number): number {
  const field = header.subarray(from, from + length);
  if (field[0] === 0x80) return wholeNumber(BigInt(`0x${field.subarray(1).toString('hex')}`).toString());
  const text = upToNul(field.toString('latin1')).trim();
  if (text === '') return 0;
  if (!/^[0-7]+$/.test(text)) throw new Failure('BH420', 'it is no tar archive, or is damaged');
  return wholeNumber(String(Number.parseInt(text, 8)));
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new Failure('BH420', 'the archive has a damaged header');
}

function checkSum(header: Buffer): void {
  let sum = 0;
  // The sum is taken with blanks in its own place.
  for (let at = 0; at < BLOCK; at++) sum += at >= 148 && at < 156 ? 0x20 : (header[at] ?? 0);
  if (sum !== numberAt(header, 148, 8)) throw new Failure('BH420', 'it is no tar archive, or is damaged');
}

function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

function shown(name: string): string {
  return Buffer.from(name, 'latin1').toString().slice(0, 200);
}
