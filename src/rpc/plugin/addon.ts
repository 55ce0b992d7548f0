import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getSystemErrorName } from 'node:util';

/**
 * The system calls that Node.js lacks, from an addon that lies beside this file. All that can be done without them is:
 * the page of activity is written by pwrite(2) then, which takes longer.
 */
interface Addon {
  lockFile(fd: number): number;
  mapShared(fd: number, length: number): ArrayBuffer | number;
  sendDatagram(path: string, bytes: Uint8Array, fds: readonly number[]): number;
}

const FILE = 'bulkhead.node';
const STEPS_TO_CHECKOUT = 5;
const EWOULDBLOCK = -11;

let loaded: Addon | Error | undefined;

function candidates(): string[] {
  const named = process.env.BULKHEAD_ADDON;
  if (named !== undefined && named !== '') return [named];
  let directory = dirname(fileURLToPath(import.meta.url));
  const files = [join(directory, FILE)];
  for (let step = 0; step < STEPS_TO_CHECKOUT; step++) {
    directory = dirname(directory);
    // Only a checkout has the build script there.
    if (existsSync(join(directory, 'native', 'build'))) files.push(join(directory, 'build', 'native', FILE));
  }
  return files;
}

function load(): Addon | Error {
  const files = candidates();
  const file = files.find((each) => existsSync(each));
  if (file === undefined) return new Error(`the addon is not at ${files.join(', ')}`);
  try {
    return createRequire(import.meta.url)(file) as Addon;
  } catch (error) {
    return new Error(`the addon cannot be loaded from ${file}: ${error instanceof Error ? error.message : error}`);
  }
}

/** @throws Error that says where it was looked for, or why it could not be loaded. */
function addon(): Addon {
  loaded ??= load();
  if (loaded instanceof Error) throw loaded;
  return loaded;
}

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
