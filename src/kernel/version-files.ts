import { asFailure } from '../base/failure.ts';
import { type LiveRecord, NO_LIVE_RECORD, versionInForce } from '../base/live-record.ts';
import { isVersionName } from '../base/version-name.ts';
import type { DeclarationText } from '../declare/declaration.ts';
import type { VersionInForce, VersionSource } from '../declare/version-layer.ts';
import { readLiveRecord } from './live-records.ts';
import type { TextReader } from './text-reader.ts';

/** What a version says itself, in its own directory. */
export const VERSION_FILE = 'plugin.yaml';

/** Which of a plugin's versions is in force, by what is recorded of upgrades, and what they say themselves. */
export class VersionFiles implements VersionSource {
  readonly #name: string;
  readonly #roots: { readonly versions: string; readonly live: string };
  readonly #reader: TextReader;
  readonly #asked: VersionInForce | 'declared' | undefined;
  #record: LiveRecord | undefined;

  /** @param asked a version that counts whatever is recorded and declared; `declared`: whatever is recorded */
  constructor(
    name: string,
    roots: { readonly versions: string; readonly live: string },
    reader: TextReader,
    asked: VersionInForce | 'declared' | undefined,
  ) {
    this.#name = name;
    this.#roots = roots;
    this.#reader = reader;
    this.#asked = asked;
  }

  inForce(declared: string | undefined): VersionInForce | undefined {
    if (this.#asked === 'declared') return undefined;
    if (this.#asked !== undefined) return this.#asked.version === declared ? undefined : this.#asked;
    this.#record ??= this.#readRecord();
    const record = this.#record;
    const version = versionInForce(record, declared);
    const { committed } = record;
    if (version === declared || committed === undefined) return undefined;
    const day = new Date(committed.at).toISOString().slice(0, 10);
    return { version, what: `upgrade of ${day} by ${committed.by}` };
  }

  texts(version: string): readonly DeclarationText[] {
    if (!isVersionName(version)) return [];
    return this.#reader.readForeign(`${this.#roots.versions}/${this.#name}/${version}/${VERSION_FILE}`);
  }

  /** Which version is live is not guessed: a record that cannot be read keeps the declaration from being used. */
  #readRecord(): LiveRecord {
    try {
      return readLiveRecord(this.#name, this.#roots.live);
    } catch (error) {
      const { code, message } = asFailure(error);
      const path = `${this.#roots.live}/${this.#name}.json`;
      this.#reader.add(code, path, message.replace(`'${path}': `, ''));
      return NO_LIVE_RECORD;
    }
  }
}
