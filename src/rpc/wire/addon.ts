import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The system calls that Node.js lacks, from an addon that lies beside this file. Each returns its value, or a negative
 * errno. All that has to be done can be done without it, if more slowly.
 */
export interface Addon {
  lockFile(fd: number): number;
  mapShared(fd: number, length: number): ArrayBuffer | number;
  sendDatagram(path: string, bytes: Uint8Array, fds: readonly number[]): number;
  duplicate(fd: number): number;
  connectUnix(path: string): number;
  closeDescriptor(fd: number): number;
  finishWriting(fd: number): number;
  unread(fd: number): number;
  receive(socket: number, bytes: Uint8Array, fds: Int32Array): number;
  sendWithFds(socket: number, bytes: Uint8Array, fds: readonly number[]): number;
  makeBody(bytes: Uint8Array): number;
  mapBody(fd: number, length: number): ArrayBuffer | number;
  watch(fd: number, ready: (events: number) => void): object | number;
  watchFor(watch: object, events: number): number;
  unwatch(watch: object): number;
}

const FILE = 'bulkhead.node';
const STEPS_TO_CHECKOUT = 5;

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
export function addon(): Addon {
  loaded ??= load();
  if (loaded instanceof Error) throw loaded;
  return loaded;
}

/** The same, or undefined without it. */
export function addonIfThere(): Addon | undefined {
  loaded ??= load();
  return loaded instanceof Error ? undefined : loaded;
}
