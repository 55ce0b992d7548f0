import { chmodSync, chownSync, lstatSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { asFailure, Failure } from '../base/failure.ts';
import { makeDirectory } from '../kernel/files.ts';
import { notMappable, roomIn } from '../kernel/room.ts';
import { PAYLOAD_GID, PAYLOAD_UID } from '../plan/identity.ts';
import type { PlannedState } from '../plan/plan.ts';

/** Sets the quota of a directory and all that is in it, where its file system has quotas; else it does nothing. */
export type SetQuota = (state: PlannedState) => Promise<void>;

/** Directories whose file systems turned out to have no quotas. */
export type WithoutQuota = Set<string>;

/**
 * Makes the state directory, or checks the one that is there. It belongs to the payload's own ids, as they are inside:
 * the mounts of the sandboxes map them, whatever range they have. Nobody on the host who may have the same ids gets
 * there, because the directory above is root's alone. Throws BH310.
 */
export async function ensureState(state: PlannedState, setQuota: SetQuota, without: WithoutQuota): Promise<void> {
  const { directory, quota } = state;
  try {
    makeDirectory(dirname(directory), 0o700);
    makeOwned(directory);
    const type = notMappable(directory);
    if (type !== undefined) throw new Error(`its file system, ${type}, cannot be id-mapped`);
    if (without.has(directory) || isAsAsked(state)) return;
    await setQuota(state);
    if (quota !== 'infinity' && !isAsAsked(state)) without.add(directory);
  } catch (error) {
    throw new Failure('BH310', `'${directory}': ${asFailure(error).message}`, { cause: error });
  }
}

/** A directory with a quota seems to be a file system of that size; one without is as large as the one above it. */
function isAsAsked({ directory, quota }: PlannedState): boolean {
  if (quota === 'infinity') return roomIn(directory) >= roomIn(dirname(directory));
  return Math.abs(roomIn(directory) - quota) < BLOCK;
}

/** Quotas count whole blocks of the file system, which are not larger than this. */
const BLOCK = 65_536;

function makeOwned(directory: string): void {
  const there = lstatSync(directory, { throwIfNoEntry: false });
  if (there === undefined) mkdirSync(directory, { mode: 0o700 });
  else if (!there.isDirectory()) throw new Error('it is not a directory');
  if (there?.uid === PAYLOAD_UID && there.gid === PAYLOAD_GID) return;
  // Modes first: what has changed its owner is not root's to change any more.
  chmodSync(directory, 0o700);
  chownSync(directory, PAYLOAD_UID, PAYLOAD_GID);
}
