import { lstatSync, readdirSync } from 'node:fs';
import { asFailure, Failure } from '../base/failure.ts';
import { isVersionName } from '../base/version-name.ts';
import { parseVersionRecord, type VersionKind, type VersionRecord } from '../base/version-record.ts';
import { readFileIfThere } from './files.ts';

/** Where versions are, and what was written down of them. */
export interface VersionPlaces {
  readonly versions: string;
  readonly records: string;
}

export const VERSION_PLACES: VersionPlaces = {
  versions: '/opt/plugin',
  records: '/var/lib/bulkhead/versions',
};

export interface InstalledVersion {
  readonly version: string;
  readonly kind: VersionKind;
  /** Undefined for one that was not installed by us, or whose record is damaged. */
  readonly record: VersionRecord | undefined;
  /** Why there is none although there is a file. */
  readonly damage: Failure | undefined;
}

/** All versions of the plugin, sorted by name as people do: 1.9 before 1.10. */
export function installedVersions(plugin: string, places: VersionPlaces = VERSION_PLACES): InstalledVersion[] {
  const directory = `${places.versions}/${plugin}`;
  return names(directory)
    .filter(isVersionName)
    .flatMap((version) => installedVersion(plugin, version, places) ?? [])
    .sort((one, other) => byName.compare(one.version, other.version));
}

/** Undefined when there is no such version. A link is none: what it leads to may change. */
export function installedVersion(
  plugin: string,
  version: string,
  places: VersionPlaces = VERSION_PLACES,
): InstalledVersion | undefined {
  const kind = isVersionName(version) ? kindOf(`${places.versions}/${plugin}/${version}`) : undefined;
  if (kind === undefined) return undefined;
  try {
    return { version, kind, record: readVersionRecord(plugin, version, places), damage: undefined };
  } catch (error) {
    return { version, kind, record: undefined, damage: asFailure(error) };
  }
}

/** What was written down of the version; undefined when nothing was. @throws Failure BH211 for a damaged record. */
export function readVersionRecord(
  plugin: string,
  version: string,
  places: VersionPlaces = VERSION_PLACES,
): VersionRecord | undefined {
  const path = recordPath(plugin, version, places);
  try {
    const text = readFileIfThere(path);
    return text === undefined ? undefined : parseVersionRecord(plugin, version, text);
  } catch (error) {
    throw new Failure('BH211', `'${path}': ${asFailure(error).message}`, { cause: error });
  }
}

export function recordPath(plugin: string, version: string, { records }: VersionPlaces): string {
  return `${records}/${plugin}/${version}.json`;
}

const byName = new Intl.Collator('en', { numeric: true });

function kindOf(path: string): VersionKind | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) return 'directory';
  return found?.isFile() === true ? 'image' : undefined;
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw asFailure(error);
  }
}
