import { statfsSync } from 'node:fs';

/** Bytes of the file system as the directory shows it; the project quota, where it has one (statfs(2), ext4 and XFS). */
export function roomIn(directory: string): number {
  const { blocks, bsize } = statfsSync(directory);
  return blocks * bsize;
}

/** Magic numbers of file systems that the kernel cannot id-map (mount_setattr(2), MOUNT_ATTR_IDMAP; linux/magic.h). */
const NOT_MAPPABLE: ReadonlyMap<number, string> = new Map([
  [0x794c7630, 'overlay'],
  [0x6969, 'nfs'],
  [0xfe534d42, 'smb2'],
  [0xff534d42, 'cifs'],
  [0x01021997, '9p'],
  [0xf15f, 'ecryptfs'],
  [0x858458f6, 'ramfs'],
]);

/** Name of the directory's file system when it is one that cannot be id-mapped. What is not known is tried. */
export function notMappable(directory: string): string | undefined {
  return NOT_MAPPABLE.get(statfsSync(directory).type);
}

/**
 * Whether all that is in the directory can be at most so many bytes; undefined when it is not there yet, or cannot be
 * looked at by an ordinary user.
 */
export function holdsQuota(directory: string, quota: number | 'infinity'): boolean | undefined {
  if (quota === 'infinity') return true;
  try {
    return roomIn(directory) <= quota;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EACCES') return undefined;
    throw error;
  }
}
