import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { asFailure, Failure } from '../base/failure.ts';
import { formatVersionRecord, type VersionRecord } from '../base/version-record.ts';
import { removeFile, writeFileAtomically } from '../kernel/files.ts';
import { recordPath, type VersionPlaces } from '../kernel/installed-versions.ts';
import { type Entry, formatEntry, parseListing } from './listing.ts';

/** What is not a version yet, or not any more, has a name that no version can have. */
export const STAGING_PREFIX = '.staging-';

/** No listing within the bounds is as large. */
const LARGEST_LISTING = 512 * 1024 ** 2;

/** The directory of a plugin's versions. */
export function pluginDirectory(plugin: string, { versions }: VersionPlaces): string {
  return `${versions}/${plugin}`;
}

/** Beside the record of a version that is a directory: its listing, of which the digest is taken. */
export function listingPath(plugin: string, version: string, { records }: VersionPlaces): string {
  return `${records}/${plugin}/${version}.list`;
}

export function digestOfListing(listing: Buffer): string {
  return createHash('sha256').update(listing).digest('hex');
}

export function formatListing(entries: readonly Entry[]): Buffer {
  return Buffer.from(entries.map(formatEntry).join(''), 'latin1');
}

/** The record goes last: without it there is none. Both are durable when it returns. */
export function writeRecord(
  plugin: string,
  record: VersionRecord,
  listing: Buffer | undefined,
  places: VersionPlaces,
): void {
  if (listing !== undefined) writeFileAtomically(listingPath(plugin, record.version, places), listing);
  writeFileAtomically(recordPath(plugin, record.version, places), formatVersionRecord(plugin, record));
}

/** The record goes first. */
export function removeRecord(plugin: string, version: string, places: VersionPlaces): void {
  removeFile(recordPath(plugin, version, places));
  removeFile(listingPath(plugin, version, places));
}

/** What the directory of a version was when it was installed. @throws Failure BH211 for another listing than recorded. */
export function readListing(plugin: string, { version, digest }: VersionRecord, places: VersionPlaces): Entry[] {
  const path = listingPath(plugin, version, places);
  try {
    const listing = readBounded(path);
    if (digestOfListing(listing) !== digest) throw new Error('it has another digest than the record says');
    return parseListing(listing.toString('latin1'));
  } catch (error) {
    throw new Failure('BH211', `'${path}': ${asFailure(error).message}`, { cause: error });
  }
}

/** Removes what was left when a change was broken off: half of a version, and records of versions that are not there. */
export function clearLeftovers(plugin: string, places: VersionPlaces): void {
  const directory = pluginDirectory(plugin, places);
  for (const name of readdirSync(directory))
    if (name.startsWith(STAGING_PREFIX)) rmSync(`${directory}/${name}`, { recursive: true, force: true });
  for (const name of readdirSync(`${places.records}/${plugin}`)) {
    const version = /^(.+)\.(?:json|list)(?:\.new)?$/.exec(name)?.[1];
    if (version === undefined) continue;
    if (name.endsWith('.new') || !existsSync(`${directory}/${version}`))
      removeFile(`${places.records}/${plugin}/${name}`);
  }
}

/** Makes names in a directory survive a loss of power. */
export function flushDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function readBounded(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    if (fstatSync(fd).size > LARGEST_LISTING) throw new Error(`it is larger than ${LARGEST_LISTING} bytes`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}
