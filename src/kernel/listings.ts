import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { ListedFile, Listing } from '../declare/precedence.ts';
import { isMask, namesIn } from './directory.ts';

/** What a directory of declarations holds; one that is not there holds nothing. */
export function list(directory: string): Listing {
  return listing(directory, namesIn(directory));
}

/** What a directory holds about one name, without looking at the other files: there may be hundreds. */
export function listFor(directory: string, name: string): Listing {
  const candidates = [`${name}.yaml`, `${name}.yaml.d`];
  return listing(
    directory,
    candidates.filter((candidate) => lstatSync(join(directory, candidate), { throwIfNoEntry: false }) !== undefined),
  );
}

function listing(directory: string, names: readonly string[]): Listing {
  const dropIns = new Map<string, ListedFile[]>();
  const files: ListedFile[] = [];
  for (const name of names) {
    if (name.endsWith('.yaml')) files.push({ name, masks: isMask(join(directory, name)) });
    if (name.endsWith('.yaml.d')) dropIns.set(name, listFiles(join(directory, name)));
  }
  return { directory, files, dropIns };
}

function listFiles(directory: string): ListedFile[] {
  return namesIn(directory).map((name) => ({ name, masks: isMask(join(directory, name)) }));
}
