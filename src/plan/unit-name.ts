const PLAIN = /[A-Za-z0-9:_.]/;

/**
 * Escapes a text for use inside a unit name exactly as systemd-escape(1) does: '/' becomes '-', a leading '.' and all
 * but letters, digits, ':', '_' and '.' become `\xNN`, one for each byte of UTF-8.
 */
export function escapeUnitName(text: string): string {
  let escaped = '';
  for (const byte of new TextEncoder().encode(text)) {
    const char = String.fromCharCode(byte);
    if (char === '/') escaped += '-';
    else if (PLAIN.test(char) && !(char === '.' && escaped === '')) escaped += char;
    else escaped += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return escaped;
}

/** Escapes an absolute path in its plain form for a unit that is named after it, as `systemd-escape --path` does. */
export function escapeUnitPath(path: string): string {
  return escapeUnitName(path.slice(1));
}

/** The text that was escaped, or undefined when this is not what `escapeUnitName` makes. */
export function unescapeUnitName(escaped: string): string | undefined {
  const bytes: number[] = [];
  for (let at = 0; at < escaped.length; at++) {
    const char = escaped[at] as string;
    if (char === '-') bytes.push(0x2f);
    else if (char === '\\') {
      const hex = /^x([0-9a-f]{2})/.exec(escaped.slice(at + 1, at + 4))?.[1];
      if (hex === undefined) return undefined;
      bytes.push(Number.parseInt(hex, 16));
      at += 3;
    } else if (PLAIN.test(char)) bytes.push(char.charCodeAt(0));
    else return undefined;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    return undefined;
  }
}
