import { existsSync, lstatSync, readdirSync, readlinkSync, statSync } from 'node:fs';

/** Sorted; empty for a directory that is not there or cannot be listed. */
export function namesIn(directory: string): string[] {
  // Most of these directories do not exist, and an exception costs ten times as much as this question.
  if (!existsSync(directory)) return [];
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

/** An empty file or a link to /dev/null, which is how systemd masks. */
export function isMask(path: string): boolean {
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.isSymbolicLink() === true && readlinkSync(path) === '/dev/null') return true;
    const target = found?.isSymbolicLink() === true ? statSync(path, { throwIfNoEntry: false }) : found;
    return target?.isFile() === true && target.size === 0;
  } catch {
    return false;
  }
}
