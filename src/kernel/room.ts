import { statfsSync } from 'node:fs';

/** Bytes of the file system as the directory shows it; the project quota, where it has one (statfs(2), ext4 and XFS). */
export function roomIn(directory: string): number {
  const { blocks, bsize } = statfsSync(directory);
  return blocks * bsize;
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
