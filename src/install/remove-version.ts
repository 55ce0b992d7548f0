import { existsSync, renameSync, rmSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import { makeDirectory } from '../kernel/files.ts';
import {
  installedVersion,
  installedVersions,
  VERSION_PLACES,
  type VersionPlaces,
} from '../kernel/installed-versions.ts';
import { lockVersions } from './lock.ts';
import { outlivedVersions } from './outlived.ts';
import { clearLeftovers, flushDirectory, pluginDirectory, removeRecord, STAGING_PREFIX } from './version-files.ts';

export interface RemoveDoors {
  readonly places?: VersionPlaces;
  /** By version: what it is needed for. Asked under the lock. */
  readonly inUse: () => ReadonlyMap<string, string>;
  /** Is called before each step. */
  readonly step?: (step: 'rename' | 'record' | 'remove' | 'done') => void;
}

/**
 * Removes a version: its name first, so that there is never half of one.
 * @throws Failure BH422 when it is needed, BH423 when there is none, BH424 when somebody else is in the way.
 */
export function removeVersion(plugin: string, version: string, doors: RemoveDoors): void {
  const { places = VERSION_PLACES } = doors;
  changing(plugin, places, () => {
    if (installedVersion(plugin, version, places) === undefined)
      throw new Failure('BH423', `'${plugin}' has no version '${version}'`);
    const use = doors.inUse().get(version);
    if (use !== undefined) throw new Failure('BH422', `'${version}' of '${plugin}' ${use}`);
    remove(plugin, version, places, doors.step ?? (() => {}));
  });
}

/**
 * Removes what is too old: of the versions that we have installed all but the newest `keep`, and never one that is
 * needed. Returns those that are gone.
 */
export function removeOutlived(plugin: string, keep: number, doors: RemoveDoors): readonly string[] {
  const { places = VERSION_PLACES } = doors;
  if (!existsSync(pluginDirectory(plugin, places))) return [];
  return changing(plugin, places, () => {
    const outlived = outlivedVersions(installedVersions(plugin, places), new Set(doors.inUse().keys()), keep);
    for (const version of outlived) remove(plugin, version, places, doors.step ?? (() => {}));
    return outlived;
  });
}

function changing<Result>(plugin: string, places: VersionPlaces, change: () => Result): Result {
  if (!existsSync(pluginDirectory(plugin, places))) throw new Failure('BH423', `'${plugin}' has no versions`);
  makeDirectory(places.records, 0o700);
  makeDirectory(`${places.records}/${plugin}`, 0o700);
  const lock = lockVersions(plugin, `${places.records}/${plugin}/.lock`);
  try {
    clearLeftovers(plugin, places);
    return change();
  } finally {
    lock.release();
  }
}

function remove(plugin: string, version: string, places: VersionPlaces, step: NonNullable<RemoveDoors['step']>): void {
  const directory = pluginDirectory(plugin, places);
  const gone = `${directory}/${STAGING_PREFIX}${process.pid}`;
  step('rename');
  renameSync(`${directory}/${version}`, gone);
  flushDirectory(directory);
  step('record');
  removeRecord(plugin, version, places);
  step('remove');
  rmSync(gone, { recursive: true, force: true });
  step('done');
}
