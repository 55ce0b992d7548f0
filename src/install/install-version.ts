import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lchownSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { asFailure, Failure } from '../base/failure.ts';
import { isVersionName } from '../base/version-name.ts';
import { LONGEST_BY, LONGEST_SOURCE, type VersionKind, type VersionRecord } from '../base/version-record.ts';
import { imageFormat } from '../kernel/file-facts.ts';
import { makeDirectory } from '../kernel/files.ts';
import { installedVersion, VERSION_PLACES, type VersionPlaces } from '../kernel/installed-versions.ts';
import { copyDirectory, piecesOf } from './copy-directory.ts';
import { leavesTree } from './links.ts';
import { contentOf, entryOf, type Found, placeOf, walkTree } from './list-tree.ts';
import { lockVersions } from './lock.ts';
import { BOUNDS, type Bounds, Staging } from './staging.ts';
import { unpackTar } from './unpack-tar.ts';
import {
  clearLeftovers,
  digestOfListing,
  flushDirectory,
  formatListing,
  pluginDirectory,
  STAGING_PREFIX,
  writeRecord,
} from './version-files.ts';

export interface InstallOrder {
  readonly plugin: string;
  readonly version: string;
  /** A directory, an archive of tar(1), or an image. */
  readonly source: string;
  readonly by: string;
  /** Wall clock, ms since 1970. */
  readonly at: number;
}

/** What an installation does, one after the other; killed between any two of them it leaves nothing or all. */
export type InstallStep = 'clear' | 'copy' | 'check' | 'flush' | 'record' | 'rename' | 'done';

export interface InstallDoors {
  readonly places?: VersionPlaces;
  readonly bounds?: Bounds;
  /** Is called before each step. */
  readonly step?: (step: InstallStep) => void;
}

export interface Installed {
  readonly record: VersionRecord;
  /** False when the very same version was there. */
  readonly changed: boolean;
}

/**
 * Makes a version of what is at the source, whole or not at all: it is copied beside the others under a name that no
 * version has, made unchangeable, written to the disk, written down, and only then given its name. A record without a
 * version is nothing, and goes at the next change.
 * @throws Failure BH420 for a source that no version can be made of, BH421 when the version is there with other content,
 * BH424 when the disk or somebody else is in the way.
 */
export async function installVersion(order: InstallOrder, doors: InstallDoors = {}): Promise<Installed> {
  const { plugin, version } = order;
  const { places = VERSION_PLACES, bounds = BOUNDS, step = () => {} } = doors;
  if (!isVersionName(version)) throw new Failure('BH420', `'${version}' cannot be the name of a version`);
  const directory = pluginDirectory(plugin, places);
  makeDirectory(places.records, 0o700);
  makeDirectory(`${places.records}/${plugin}`, 0o700);
  makeDirectory(directory, 0o755);
  const lock = lockVersions(plugin, `${places.records}/${plugin}/.lock`);
  const staged = `${directory}/${STAGING_PREFIX}${process.pid}`;
  try {
    step('clear');
    clearLeftovers(plugin, places);
    step('copy');
    const kind = await stage(order.source, staged, bounds);
    step('check');
    const { listing, ...content } = kind === 'image' ? imageContent(staged) : directoryContent(staged, bounds);
    const record: VersionRecord = {
      version,
      kind,
      ...content,
      installedAt: order.at,
      by: order.by.slice(0, LONGEST_BY),
      source: order.source.slice(0, LONGEST_SOURCE),
    };
    const there = installedVersion(plugin, version, places);
    if (there !== undefined) return same(plugin, record, there);
    step('flush');
    flushFileSystem(staged);
    step('record');
    writeRecord(plugin, record, listing, places);
    step('rename');
    renameSync(staged, `${directory}/${version}`);
    flushDirectory(directory);
    step('done');
    return { record, changed: true };
  } catch (error) {
    throw asOurs(error, order.source);
  } finally {
    rmSync(staged, { recursive: true, force: true });
    lock.release();
  }
}

async function stage(source: string, staged: string, bounds: Bounds): Promise<VersionKind> {
  const fd = openSync(source, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = fstatSync(fd);
    const staging = new Staging(staged, bounds);
    if (found.isDirectory()) {
      await copyDirectory(source, staging);
      return 'directory';
    }
    if (!found.isFile()) throw new Failure('BH420', 'it is neither a directory nor a file');
    if (imageFormat(source) === undefined) {
      await unpackTar(fd, headOf(fd), staging);
      return 'directory';
    }
    await staging.addFile(IMAGE, 0o444, found.size, piecesOf(fd));
    renameSync(`${staged}/${IMAGE}`, `${staged}.image`);
    rmSync(staged, { recursive: true });
    renameSync(`${staged}.image`, staged);
    return 'image';
  } finally {
    closeSync(fd);
  }
}

const IMAGE = 'image';

function headOf(fd: number): Buffer {
  const head = Buffer.alloc(8);
  return head.subarray(0, readSync(fd, head, 0, head.length, 0));
}

interface Content {
  readonly digest: string;
  readonly files: number;
  readonly bytes: number;
  readonly listing: Buffer | undefined;
}

/** Whatever was copied is looked at as it is now, on the disk. */
function imageContent(staged: string): Content {
  chownSync(staged, 0, 0);
  if (imageFormat(staged) === undefined) throw new Failure('BH420', 'it has changed while it was copied');
  const { size, digest } = contentOf(staged);
  return { digest, files: 1, bytes: size, listing: undefined };
}

/** Makes the directories unchangeable, and all of it root's. */
function directoryContent(staged: string, bounds: Bounds): Content {
  const walked = walkTree(staged, bounds.entries).map((found) => seal(staged, found));
  const entries = walked.map((found) => entryOf(staged, found));
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  for (const entry of entries) {
    if (entry.kind !== 'link' || !leavesTree(entry.path, entry.target, (path) => byPath.get(path))) continue;
    const [path, target] = [entry.path, entry.target].map((text) => Buffer.from(text, 'latin1').toString());
    throw new Failure('BH420', `'${path}' is a link to '${target}', which is not in the version`);
  }
  const listing = formatListing(entries);
  const bytes = entries.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.size : 0), 0);
  return { digest: digestOfListing(listing), files: entries.length, bytes, listing };
}

function seal(staged: string, found: Found): Found {
  const place = placeOf(staged, found.path);
  lchownSync(place, 0, 0);
  if (found.kind !== 'directory') return found;
  chmodSync(place, 0o555);
  return { ...found, mode: 0o555 };
}

function same(plugin: string, record: VersionRecord, there: { readonly record: VersionRecord | undefined }): Installed {
  const { version, digest } = record;
  if (there.record === undefined)
    throw new Failure('BH421', `'${version}' of '${plugin}' is there, and nothing is known of its content`);
  if (there.record.digest === digest && there.record.kind === record.kind)
    return { record: there.record, changed: false };
  const [has, given] = [there.record.digest, digest].map((each) => each.slice(0, 16));
  throw new Failure('BH421', `'${version}' of '${plugin}' has digest ${has}, what is to be installed has ${given}`);
}

/** One call for all files; each by itself would take as many turns of the disk. */
function flushFileSystem(path: string): void {
  const { status } = spawnSync('sync', ['--file-system', path], { stdio: 'ignore' });
  if (status !== 0) throw new Failure('BH424', 'what was copied cannot be written to the disk');
}

function asOurs(error: unknown, source: string): Failure {
  const failure = asFailure(error);
  if (failure.code === 'BH420') return new Failure('BH420', `'${source}': ${failure.message}`, { cause: error });
  if (failure.code !== 'BH406') return failure;
  const { code } = error as NodeJS.ErrnoException;
  const mine = code === 'ENOENT' || code === 'EACCES' || code === 'ELOOP' || code === 'ENAMETOOLONG';
  return new Failure(mine ? 'BH420' : 'BH424', `'${source}': ${failure.message}`, { cause: error });
}
