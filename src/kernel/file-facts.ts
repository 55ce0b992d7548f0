import { closeSync, constants, existsSync, openSync, readSync, statSync } from 'node:fs';
import type { DeviceFacts, ImageFormat } from '../plan/plan.ts';

/**
 * Changes with the file and with its content, mode and owner: all of these move the time of status change (inode(7)),
 * and so does a rename. Undefined for what cannot be looked at.
 */
export function stampOf(path: string): string | undefined {
  try {
    const { dev, ino, size, ctimeNs } = statSync(path, { bigint: true });
    return `${dev}:${ino}:${size}:${ctimeNs}`;
  } catch {
    return undefined;
  }
}

/** Magic numbers with their places: squashfs_fs.h and erofs_fs.h of the kernel, both little-endian. */
const FORMATS: readonly { readonly format: ImageFormat; readonly offset: number; readonly magic: number }[] = [
  { format: 'squashfs', offset: 0, magic: 0x73717368 },
  { format: 'erofs', offset: 1024, magic: 0xe0f5e1e2 },
];

/** The format of the image in a regular file; undefined for any other file, and for one that cannot be read. */
export function imageFormat(path: string): ImageFormat | undefined {
  let fd: number | undefined;
  try {
    if (!statSync(path).isFile()) return undefined;
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const head = Buffer.alloc(1028);
    if (readSync(fd, head, 0, head.length, 0) < head.length) return undefined;
    return FORMATS.find(({ offset, magic }) => head.readUInt32LE(offset) === magic)?.format;
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/**
 * The path as PID 1 sees it: the supervisor has a /dev of its own. Whoever may not look there, as `bulkheadctl check`
 * of an ordinary user, is not confined either.
 */
export function hostPath(path: string): string {
  return existsSync('/proc/1/root/dev') ? `/proc/1/root${path}` : path;
}

/** What is at the path on the host. */
export function deviceFacts(path: string): DeviceFacts | undefined {
  try {
    const found = statSync(hostPath(path));
    const kind = found.isCharacterDevice() ? 'char' : found.isBlockDevice() ? 'block' : 'other';
    return { kind, ...deviceNumbers(found.rdev), mode: found.mode & 0o7777 };
  } catch {
    return undefined;
  }
}

/** As glibc's makedev(3) packs them. */
export function deviceNumbers(rdev: number): { major: number; minor: number } {
  const packed = BigInt(rdev);
  return {
    major: Number(((packed >> 8n) & 0xfffn) | ((packed >> 32n) & 0xfffff000n)),
    minor: Number((packed & 0xffn) | ((packed >> 12n) & 0xffffff00n)),
  };
}
