import { RecordReader } from './record-reader.ts';
import { isVersionName } from './version-name.ts';

/** A version is a directory, or a file with the image of one. */
export type VersionKind = 'directory' | 'image';

/** What was written down of a version when it was installed; nothing of it changes afterwards. */
export interface VersionRecord {
  readonly version: string;
  readonly kind: VersionKind;
  /** sha256 over all of its content, 64 hex digits; `version-listing.ts` says over what exactly. */
  readonly digest: string;
  /** Entries of the directory, itself among them; 1 for an image. */
  readonly files: number;
  /** Of all regular files. */
  readonly bytes: number;
  /** Wall clock, ms since 1970. */
  readonly installedAt: number;
  /** Who installed it: `uid 0`, or `NAME (uid 1000) by sudo`. */
  readonly by: string;
  /** What it was made of, as the caller named it. */
  readonly source: string;
}

export const LONGEST_BY = 100;
export const LONGEST_SOURCE = 1000;

export function isContentDigest(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/** The form on disk. */
export function formatVersionRecord(plugin: string, record: VersionRecord): string {
  return `${JSON.stringify({ format: 1, plugin, ...record }, null, 1)}\n`;
}

/** @throws SyntaxError or RangeError for a text that is no record of this version in this format. */
export function parseVersionRecord(plugin: string, version: string, text: string): VersionRecord {
  const record = RecordReader.parse(text);
  record.exactly('format', 1);
  record.exactly('plugin', plugin);
  record.exactly('version', version);
  return {
    version: record.matching('version', isVersionName),
    kind: record.oneOf('kind', ['directory', 'image']),
    digest: record.matching('digest', isContentDigest),
    files: record.count('files'),
    bytes: record.count('bytes'),
    installedAt: record.time('installedAt'),
    by: record.text('by', LONGEST_BY),
    source: record.text('source', LONGEST_SOURCE),
  };
}
