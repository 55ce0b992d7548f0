import { asFailure } from '../base/failure.ts';
import type { VersionCheck } from '../base/version-check.ts';
import type { VersionRecord } from '../base/version-record.ts';
import { installedVersion, VERSION_PLACES, type VersionPlaces } from '../kernel/installed-versions.ts';
import { contentOf, entryOf, type Found, walkTree } from './list-tree.ts';
import { describeEntry, type Entry, formatEntry, shownPath } from './listing.ts';
import { BOUNDS } from './staging.ts';
import { pluginDirectory, readListing } from './version-files.ts';

/** Whom all of a version belongs to. */
const OWNER = 0;

/**
 * Compares a version with what was written down of it when it was installed: names, kinds, modes, owner and all content.
 * It ends at the first difference.
 */
export function verifyVersion(
  plugin: string,
  version: string,
  places: VersionPlaces = VERSION_PLACES,
  owner: number = OWNER,
): VersionCheck {
  const there = installedVersion(plugin, version, places);
  if (there === undefined) return { verdict: 'gone' };
  if (there.damage !== undefined) return { verdict: 'damaged', text: there.damage.message };
  const { record } = there;
  if (record === undefined) return { verdict: 'no-record' };
  const place = `${pluginDirectory(plugin, places)}/${version}`;
  try {
    if (record.kind !== there.kind) return differs('.', `of kind '${record.kind}'`, `of kind '${there.kind}'`);
    return there.kind === 'image'
      ? verifyImage(place, record, owner)
      : verifyTree(plugin, place, record, places, owner);
  } catch (error) {
    const { code, message } = asFailure(error);
    if (code === 'BH211') return { verdict: 'damaged', text: message };
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { verdict: 'gone' };
    throw error;
  }
}

function verifyImage(place: string, record: VersionRecord, owner: number): VersionCheck {
  const [found] = walkTree(place, 1);
  if (found?.uid !== owner) return differs('.', ownedBy(owner), ownedBy(found?.uid));
  const { size, digest } = contentOf(place);
  if (digest === record.digest) return { verdict: 'ok' };
  return differs('.', describeContent(record.bytes, record.digest), describeContent(size, digest));
}

function verifyTree(
  plugin: string,
  place: string,
  record: VersionRecord,
  places: VersionPlaces,
  owner: number,
): VersionCheck {
  const expected = readListing(plugin, record, places);
  const found = walkTree(place, BOUNDS.entries + 1);
  for (let at = 0; at < expected.length || at < found.length; at++) {
    const [wanted, there] = [expected[at], found[at]];
    const difference = compare(place, wanted, there, owner);
    if (difference !== undefined) return difference;
  }
  return { verdict: 'ok' };
}

function compare(
  place: string,
  wanted: Entry | undefined,
  there: Found | undefined,
  owner: number,
): VersionCheck | undefined {
  // Both are in the same order: whichever comes first is there in one of them alone.
  if (there === undefined || (wanted !== undefined && before(wanted.path, there.path)))
    return differs(wanted?.path ?? '', describeEntry(wanted), 'nothing');
  if (wanted === undefined || before(there.path, wanted.path))
    return differs(there.path, 'nothing', describeFound(there));
  if (there.uid !== owner) return differs(there.path, ownedBy(owner), ownedBy(there.uid));
  if (there.kind === 'other') return differs(there.path, describeEntry(wanted), describeFound(there));
  const entry = entryOf(place, there);
  if (formatEntry(entry) === formatEntry(wanted)) return undefined;
  return differs(there.path, describeEntry(wanted), describeEntry(entry));
}

function before(one: string, other: string): boolean {
  return shownPath(one) < shownPath(other);
}

function differs(path: string, expected: string, found: string): VersionCheck {
  return { verdict: 'differs', path: Buffer.from(path, 'latin1').toString(), expected, found };
}

function describeFound({ kind }: Found): string {
  return kind === 'other' ? 'neither a file, nor a directory, nor a link' : `a ${kind}`;
}

function describeContent(size: number, digest: string): string {
  return `${size} bytes, sha256 ${digest.slice(0, 16)}`;
}

function ownedBy(uid: number | undefined): string {
  return uid === undefined ? 'nothing' : `owned by uid ${uid}`;
}
