import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { Problem } from '../base/problem.ts';
import type { DeclarationText } from '../declare/declaration.ts';
import { isPluginName } from '../declare/plugin-name.ts';
import {
  applyingFiles,
  type ListedFile,
  type Listing,
  listedNames,
  PLUGIN_DIRECTORIES,
  TEMPLATE_DIRECTORIES,
} from '../declare/precedence.ts';
import { type ReadResult, readDeclaration } from '../declare/read-declaration.ts';
import type { TemplateTexts } from '../declare/templates.ts';
import { LONGEST_TEXT } from '../declare/yaml-tree.ts';
import { DeclarationMemo } from './declaration-memo.ts';
import { isMask, namesIn } from './directory.ts';
import { declaresPlugin, pluginsOfUnits, UNIT_DIRECTORIES, unitFilesOf } from './unit-files.ts';

/** Where declarations, templates and unit files are looked for, each in order of strength. */
export interface DeclarationRoots {
  readonly plugins: readonly string[];
  readonly templates: readonly string[];
  readonly units: readonly string[];
}

export const DECLARATION_ROOTS: DeclarationRoots = {
  plugins: PLUGIN_DIRECTORIES,
  templates: TEMPLATE_DIRECTORIES,
  units: UNIT_DIRECTORIES,
};

/** UTF-8 takes at most four bytes for a character; a larger file is too long whatever it holds. */
const LARGEST_BYTES = 4 * LONGEST_TEXT;

/** What was read before; texts are compared, so it never shows anything stale. */
const memo = new DeclarationMemo();

export interface LoadedDeclaration extends ReadResult {
  /** The files that take part, in the order in which they apply; without templates. */
  readonly files: readonly string[];
}

/**
 * Reads a plugin's declaration from the disk: YAML files with drop-ins, then the [X-Plugin] sections of its unit and the
 * unit's drop-ins. Never throws; what cannot be read is a problem like any other.
 */
export function loadDeclaration(name: string, roots: DeclarationRoots = DECLARATION_ROOTS): LoadedDeclaration {
  // A name that cannot be one never becomes part of a path.
  const listings = isPluginName(name) ? roots.plugins.map((directory) => listFor(directory, name)) : [];
  const { paths, maskedBy } = applyingFiles(name, listings);
  const reader = new TextReader();
  const yaml = paths.flatMap((path) => reader.read(path, 'yaml'));
  const units = isPluginName(name) ? unitFilesOf(name, roots.units).flatMap((path) => reader.read(path, 'unit')) : [];
  const sections = units.filter(({ text }) => declaresPlugin(text));
  const texts = [...yaml, ...sections];
  const files = [...paths, ...sections.map(({ file }) => file)];
  if (maskedBy !== undefined && sections.length === 0) {
    const message = `'${name}' is masked by this empty file or link to /dev/null`;
    return {
      files,
      origins: new Map(),
      problems: [{ code: 'BH108', place: { file: maskedBy, line: 1, column: 1 }, message }],
    };
  }
  return withProblems(memo.read(name, texts, templateTexts(roots, reader)), reader, files);
}

/** Checks one file as the whole declaration of `name`, with the host's templates, whatever else declares it. */
export function loadDeclarationFile(
  name: string,
  path: string,
  roots: DeclarationRoots = DECLARATION_ROOTS,
): LoadedDeclaration {
  const reader = new TextReader();
  const texts = reader.read(path, 'yaml');
  return withProblems(readDeclaration(name, texts, templateTexts(roots, reader)), reader, [path]);
}

/** Names that have a declaration of any form, valid or not, sorted. A masked name is not declared. */
export function declaredPlugins(roots: DeclarationRoots = DECLARATION_ROOTS): string[] {
  const listings = roots.plugins.map(list);
  const names = listedNames(listings).filter((name) => applyingFiles(name, listings).paths.length > 0);
  const reader = new TextReader();
  const inUnits = pluginsOfUnits(roots.units).filter((name) =>
    unitFilesOf(name, roots.units).some((path) => reader.read(path, 'unit').some(({ text }) => declaresPlugin(text))),
  );
  return [...new Set([...names, ...inUnits])].sort();
}

/** A file that cannot be read hides what it says, so nothing else that seems to be missing is reported then. */
function withProblems(result: ReadResult, reader: TextReader, files: readonly string[]): LoadedDeclaration {
  if (reader.problems.length === 0) return { ...result, files };
  const consequences = new Set(['BH105', 'BH106', 'BH108']);
  const own = result.problems.filter(({ code }) => !consequences.has(code));
  return { origins: new Map(), problems: [...reader.problems, ...own], files };
}

function templateTexts(roots: DeclarationRoots, reader: TextReader): TemplateTexts {
  return (name) => {
    if (!isPluginName(name)) return undefined;
    const listings = roots.templates.map((directory) => listFor(directory, name));
    const { paths } = applyingFiles(name, listings);
    return paths.length === 0 ? undefined : paths.flatMap((path) => reader.read(path, 'yaml'));
  };
}

/** What a directory of declarations holds; one that is not there holds nothing. */
function list(directory: string): Listing {
  return listing(directory, namesIn(directory));
}

/** What a directory holds about one name, without looking at the other files: there may be hundreds. */
function listFor(directory: string, name: string): Listing {
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

/** Reads texts with bounds and collects why some could not be read. */
class TextReader {
  readonly problems: Problem[] = [];

  /** The text, or none with a problem. Links are followed: the directories belong to root. */
  read(path: string, format: DeclarationText['format']): DeclarationText[] {
    try {
      return [{ file: path, text: readBounded(path), format }];
    } catch (thrown) {
      const code = thrown instanceof RangeError ? 'BH112' : 'BH113';
      this.problems.push({ code, place: { file: path, line: 1, column: 1 }, message: explain(thrown) });
      return [];
    }
  }
}

/** Opens without waiting, so that a FIFO cannot stop us; reads regular files of a bounded size only, as UTF-8. */
function readBounded(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const status = fstatSync(fd);
    const { size } = status;
    if (!status.isFile()) throw new Error('it is not a regular file');
    // Problems quote what they are about, and everybody may ask for them: not out of a link to the passwords.
    if ((status.mode & constants.S_IROTH) === 0 && lstatSync(path).isSymbolicLink())
      throw new Error('it is a link to a file that not everybody may read');
    if (size > LARGEST_BYTES) throw new RangeError(`the file has ${size} bytes, ${LARGEST_BYTES} are allowed`);
    const bytes = Buffer.alloc(size);
    let length = 0;
    while (length < size) {
      const read = readSync(fd, bytes, length, size - length, length);
      if (read === 0) break;
      length += read;
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length));
  } finally {
    closeSync(fd);
  }
}

function explain(thrown: unknown): string {
  const error = thrown as NodeJS.ErrnoException;
  if (error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'the file is not UTF-8';
  if (error.code === 'ENOENT') return 'there is no such file';
  if (error.code === 'EACCES') return 'permission denied';
  return error.message;
}
