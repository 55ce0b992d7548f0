import { isPluginName } from '../declare/plugin-name.ts';
import { applyingFiles, listedNames, PLUGIN_DIRECTORIES, TEMPLATE_DIRECTORIES } from '../declare/precedence.ts';
import { type ReadResult, readDeclaration } from '../declare/read-declaration.ts';
import type { TemplateTexts } from '../declare/templates.ts';
import type { VersionInForce } from '../declare/version-layer.ts';
import { DeclarationMemo } from './declaration-memo.ts';
import { VERSION_PLACES } from './installed-versions.ts';
import { list, listFor } from './listings.ts';
import { LIVE_DIRECTORY } from './live-records.ts';
import { TextReader } from './text-reader.ts';
import { declaresPlugin, pluginsOfUnits, UNIT_DIRECTORIES, unitFilesOf } from './unit-files.ts';
import { VersionFiles } from './version-files.ts';

/** Where declarations, templates and unit files are looked for, each in order of strength, and versions and their records. */
export interface DeclarationRoots {
  readonly plugins: readonly string[];
  readonly templates: readonly string[];
  readonly units: readonly string[];
  readonly versions: string;
  readonly live: string;
}

export const DECLARATION_ROOTS: DeclarationRoots = {
  plugins: PLUGIN_DIRECTORIES,
  templates: TEMPLATE_DIRECTORIES,
  units: UNIT_DIRECTORIES,
  versions: VERSION_PLACES.versions,
  live: LIVE_DIRECTORY,
};

/** What was read before; texts are compared, so it never shows anything stale. */
const memo = new DeclarationMemo();

export interface LoadedDeclaration extends ReadResult {
  /** The files that take part, in the order in which they apply; without templates, and what a version says itself. */
  readonly files: readonly string[];
}

/**
 * Reads a plugin's declaration from the disk: YAML files with drop-ins, then the [X-Plugin] sections of its unit and the
 * unit's drop-ins. Its version is the one that is in force, or the one that is asked for. Never throws; what cannot be
 * read is a problem like any other.
 */
export function loadDeclaration(
  name: string,
  roots: DeclarationRoots = DECLARATION_ROOTS,
  asked?: VersionInForce,
): LoadedDeclaration {
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
  const versions = new VersionFiles(name, roots, reader, asked);
  return withProblems(memo.read(name, texts, templateTexts(roots, reader), versions), reader, files);
}

/**
 * Checks one file as the whole declaration of `name`, with the host's templates, whatever else declares it, and for the
 * version that it names.
 */
export function loadDeclarationFile(
  name: string,
  path: string,
  roots: DeclarationRoots = DECLARATION_ROOTS,
): LoadedDeclaration {
  const reader = new TextReader();
  const texts = reader.read(path, 'yaml');
  const versions = new VersionFiles(name, roots, reader, 'declared');
  return withProblems(readDeclaration(name, texts, templateTexts(roots, reader), versions), reader, [path]);
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
