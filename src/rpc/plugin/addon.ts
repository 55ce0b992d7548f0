import { getSystemErrorName } from 'node:util';
import { addon } from '../wire/addon.ts';

/** What the addon does for plugins; the page of activity is written by pwrite(2) without it, which takes longer. */
const EWOULDBLOCK = -11;

/**
 * Locks a file for as long as the process has it open (flock(2)).
 * @returns false when somebody else has it.
 * @throws Error without the addon, and for any other error of the call.
 */
export function lockFile(fd: number): boolean {
  const result = addon().lockFile(fd);
  if (result < 0 && result !== EWOULDBLOCK) throw new Error(`flock: ${getSystemErrorName(result)}`);
  return result === 0;
}

/** The beginning of a file as memory; undefined when it cannot be had, for whatever reason. */
export function mapShared(fd: number, length: number): ArrayBuffer | undefined {
  try {
    const memory = addon().mapShared(fd, length);
    return typeof memory === 'number' ? undefined : memory;
  } catch {
    return undefined;
  }
}

/** Sends one datagram to a Unix address, '/path' or '@name'. @throws Error without the addon, and when it cannot be sent. */
export function sendDatagram(path: string, text: string): void {
  const result = addon().sendDatagram(path, Buffer.from(text), []);
  if (result < 0) throw new Error(`sendmsg to '${path}': ${getSystemErrorName(result)}`);
}
