import type { Problem } from '../base/problem.ts';
import { type ReadConfiguration, readConfiguration } from '../declare/configuration.ts';
import { applyingFiles, CONFIGURATION_DIRECTORIES } from '../declare/precedence.ts';
import { listFor } from './listings.ts';
import { TextReader } from './text-reader.ts';

const NAME = 'bulkhead';

export interface LoadedConfiguration extends ReadConfiguration {
  /** The files that take part, in the order in which they apply; none is fine. */
  readonly files: readonly string[];
}

/** Reads bulkhead.yaml and its drop-ins from the disk. Never throws; what cannot be read is a problem like any other. */
export function loadConfiguration(directories: readonly string[] = CONFIGURATION_DIRECTORIES): LoadedConfiguration {
  const { paths } = applyingFiles(
    NAME,
    directories.map((directory) => listFor(directory, NAME)),
  );
  return read(paths);
}

/** Checks one file as the whole configuration. */
export function loadConfigurationFile(path: string): LoadedConfiguration {
  return read([path]);
}

function read(files: readonly string[]): LoadedConfiguration {
  const reader = new TextReader();
  const texts = files.flatMap((path) => reader.read(path, 'yaml'));
  const { configuration, problems } = readConfiguration(texts);
  const all: readonly Problem[] = [...reader.problems, ...problems];
  return configuration === undefined || all.length > 0
    ? { files, problems: all }
    : { files, problems: all, configuration };
}
