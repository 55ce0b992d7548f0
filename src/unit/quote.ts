const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\t': '\\t', '\r': '\\r', '"': '\\"', '\\': '\\\\' };

/** A word as a unit file needs it, quoted only where it must be; see systemd.syntax(7), "Quoting". */
export function quoteWord(word: string): string {
  if (word !== '' && /^[^\s"'\\\p{Cc};#]+$/u.test(word)) return word;
  return `"${word.replace(/["\\\p{Cc}]/gu, escapeCharacter)}"`;
}

function escapeCharacter(char: string): string {
  const code = char.charCodeAt(0);
  // \xNN is a byte; beyond ASCII the character itself is right.
  return ESCAPES[char] ?? (code > 0x7f ? char : `\\x${code.toString(16).padStart(2, '0')}`);
}
