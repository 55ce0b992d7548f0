const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\t': '\\t', '\r': '\\r', '"': '\\"', '\\': '\\\\' };

/** A word as a unit file needs it, quoted only where it must be; see systemd.syntax(7), "Quoting". */
export function quoteWord(word: string): string {
  if (word !== '' && /^[^\s"'\\\p{Cc};#]+$/u.test(word)) return word;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must be escaped here
  const inner = word.replace(/["\\\u0001-\u001f\u007f]/g, (char) => ESCAPES[char] ?? `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `"${inner}"`;
}
