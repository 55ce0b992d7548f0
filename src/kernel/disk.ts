import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

const BLOCK_DEVICE = 0o060000;
const FILE_TYPE = 0o170000;

/**
 * `MAJOR:MINOR` of the disk that a path is on, or that it is: a partition stands for its disk, as systemd and io.max
 * want it. Undefined when no block device is behind it (tmpfs, overlay, a network), or nothing is there.
 */
export function diskOf(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  const device = (found.mode & FILE_TYPE) === BLOCK_DEVICE ? found.rdev : found.dev;
  const number = `${major(device)}:${minor(device)}`;
  const known = `/sys/dev/block/${number}`;
  if (!existsSync(known)) return undefined;
  const directory = realpathSync(known);
  return existsSync(`${directory}/partition`) ? numberOf(dirname(directory)) : number;
}

function numberOf(directory: string): string {
  return readFileSync(`${directory}/dev`, 'utf8').trim();
}

/** The two halves of a dev_t (makedev(3), glibc). */
function major(device: number): number {
  return Number((BigInt(device) >> 8n) & 0xfffn) + Number((BigInt(device) >> 32n) & 0xfffff000n);
}

function minor(device: number): number {
  return Number(BigInt(device) & 0xffn) + Number((BigInt(device) >> 12n) & 0xffffff00n);
}
