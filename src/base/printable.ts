/**
 * Characters that could move a cursor, forge a line, or turn text around: C0, DEL, C1, line and paragraph separators,
 * zero-width and bidirectional marks, isolates and overrides, the byte-order mark, and halves of surrogate pairs.
 */
const DANGEROUS =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is the purpose
  /[\u0000-\u001f\u007f-\u009f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Makes text that somebody else chose (a plugin's status, a file name) safe to print on one line of a terminal. */
export function escapeText(text: string): string {
  return text.replace(DANGEROUS, (found) => {
    const code = found.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** At most so many characters, for terminals, the journal and files, with a question mark for each that is not safe. */
export function printable(text: string, most = 256): string {
  return text.slice(0, most).replace(DANGEROUS, '?');
}
