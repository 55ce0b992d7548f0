import { linkSync, lstatSync, renameSync, type Stats, unlinkSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { Failure } from '../base/failure.ts';
import type { SlotName } from '../plan/plan.ts';

/**
 * The files of a Unix address: a hidden one for each slot's socket, which it has for as long as it is there, and at the
 * declared path a further name of the one that gets the connections. Every step looks first at what is there, so that a
 * supervisor that is killed at any line leaves nothing that the next one does not understand. What is not ours is never
 * removed and never replaced.
 */

/** Of the slot's socket: `/run/x.sock` has `/run/.x.sock.a`. */
export function nameOf(path: string, slot: SlotName): string {
  return hidden(path, slot);
}

/** The next one at the path, for an instant. */
function nextOf(path: string): string {
  return hidden(path, 'next');
}

function hidden(path: string, what: string): string {
  return `${dirname(path)}/.${basename(path)}.${what}`;
}

/** All names that an address has or had. */
export function allNames(path: string): string[] {
  return [path, nameOf(path, 'a'), nameOf(path, 'b'), nextOf(path)];
}

/** What is there, a link as itself; undefined for nothing. */
export function fileAt(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

/** Whether the name leads to the socket of one of these slots. */
export function isSocketOf(name: string, path: string, slots: readonly SlotName[]): boolean {
  const file = fileAt(name);
  return file !== undefined && slots.some((slot) => isSame(file, socketAt(nameOf(path, slot))));
}

/** A socket that was bound at the path itself, as it was when there was one only, gets its hidden name. */
export function takeName(path: string, slot: SlotName): void {
  if (fileAt(nameOf(path, slot)) === undefined && socketAt(path) !== undefined) linkSync(path, nameOf(path, slot));
}

/**
 * Makes the path lead to the slot's socket; at every instant it leads to the one before or to this one. Throws BH220
 * when that socket has no file any more, or when something that is not ours is in the way.
 */
export function publish(path: string, slot: SlotName): void {
  const name = nameOf(path, slot);
  const wanted = socketAt(name);
  if (wanted === undefined) throw new Failure('BH220', `'${name}' is not the socket of slot ${slot} any more`);
  const [now, next] = [fileAt(path), nextOf(path)];
  for (const each of [path, next]) {
    if (fileAt(each) === undefined || isSocketOf(each, path, ['a', 'b'])) continue;
    throw new Failure('BH220', `'${each}' is no socket of the plugin's; it is left as it is`);
  }
  // Of two names of the same file rename(2) would remove neither.
  if (fileAt(next) !== undefined) unlinkSync(next);
  if (isSame(now, wanted)) return;
  linkSync(name, next);
  renameSync(next, path);
}

/** Removes what leads to one of the plugin's sockets. */
export function removeOurs(path: string): void {
  for (const name of allNames(path)
    .filter((each) => isSocketOf(each, path, ['a', 'b']))
    .reverse())
    unlinkSync(name);
}

function socketAt(path: string): Stats | undefined {
  const file = fileAt(path);
  return file?.isSocket() ? file : undefined;
}

function isSame(one: Stats | undefined, other: Stats | undefined): boolean {
  return one !== undefined && other !== undefined && one.ino === other.ino && one.dev === other.dev;
}
