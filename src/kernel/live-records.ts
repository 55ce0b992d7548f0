import { asFailure, Failure } from '../base/failure.ts';
import { formatLiveRecord, type LiveRecord, NO_LIVE_RECORD, parseLiveRecord } from '../base/live-record.ts';
import { makeDirectory, readFileIfThere, removeFile, writeFileAtomically } from './files.ts';

/** Where they are: not only until the next boot. */
export const LIVE_DIRECTORY = '/var/lib/bulkhead/live';

/**
 * What is remembered of the plugin's upgrades. For an ordinary user, who may look at declarations and not at this, there
 * is nothing.
 * @throws Failure BH210 for a file that is damaged: which version is live must not be guessed.
 */
export function readLiveRecord(plugin: string, directory: string = LIVE_DIRECTORY): LiveRecord {
  const path = `${directory}/${plugin}.json`;
  try {
    const text = readFileIfThere(path);
    return text === undefined ? NO_LIVE_RECORD : parseLiveRecord(plugin, text);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return NO_LIVE_RECORD;
    throw new Failure('BH210', `'${path}': ${asFailure(error).message}`, { cause: error });
  }
}

/** Durable when it returns. What could not be read again is not written: it would be taken for damaged. */
export function writeLiveRecord(plugin: string, record: LiveRecord, directory: string = LIVE_DIRECTORY): void {
  const text = formatLiveRecord(plugin, record);
  parseLiveRecord(plugin, text);
  makeDirectory(directory, 0o700);
  writeFileAtomically(`${directory}/${plugin}.json`, text);
}

export function removeLiveRecord(plugin: string, directory: string = LIVE_DIRECTORY): void {
  removeFile(`${directory}/${plugin}.json`);
}
