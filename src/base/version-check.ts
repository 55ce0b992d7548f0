import { printable } from './printable.ts';
import { RecordReader } from './record-reader.ts';

/** What a version is beside what was written down of it when it was installed. */
export type VersionCheck =
  | { readonly verdict: 'ok' }
  /** It was not installed by us. */
  | { readonly verdict: 'no-record' }
  /** It is not there. */
  | { readonly verdict: 'gone' }
  /** What was written down cannot be read. */
  | { readonly verdict: 'damaged'; readonly text: string }
  /** The first path at which it is not what was installed; '.' is itself. */
  | { readonly verdict: 'differs'; readonly path: string; readonly expected: string; readonly found: string };

const LONGEST = 4096;

/** The form in which the process that has looked tells it. */
export function formatVersionCheck(check: VersionCheck): string {
  return `${JSON.stringify(check)}\n`;
}

/** @throws SyntaxError or RangeError for a text that is none. */
export function parseVersionCheck(text: string): VersionCheck {
  const record = RecordReader.parse(text);
  const verdict = record.oneOf('verdict', ['ok', 'no-record', 'gone', 'damaged', 'differs']);
  if (verdict === 'damaged') return { verdict, text: printable(record.text('text', LONGEST), LONGEST) };
  if (verdict !== 'differs') return { verdict };
  const [path, expected, found] = ['path', 'expected', 'found'].map((name) =>
    printable(record.text(name, LONGEST), LONGEST),
  ) as [string, string, string];
  return { verdict, path, expected, found };
}
