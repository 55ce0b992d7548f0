/** One word of a value, and where in the value it begins. */
export interface Word {
  readonly text: string;
  readonly offset: number;
}

export interface SplitError {
  readonly message: string;
  readonly offset: number;
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  s: ' ',
  '\\': '\\',
  '"': '"',
  "'": "'",
};

/**
 * Splits a value into words as systemd does for ExecStart= and Environment= (systemd.syntax(7), "Quoting"): white
 * space separates, single and double quotes keep it, C escapes are resolved, an unknown escape is an error.
 */
export function splitWords(value: string): Word[] | SplitError {
  const words: Word[] = [];
  let text = '';
  let begin = -1;
  let quote = '';
  for (let at = 0; at < value.length; at++) {
    const char = value[at] as string;
    const space = char === ' ' || char === '\t';
    if (space && quote === '') {
      if (begin >= 0) words.push({ text, offset: begin });
      text = '';
      begin = -1;
      continue;
    }
    if (begin < 0) begin = at;
    if (char === '\\') {
      const escaped = unescapeAt(value, at + 1);
      if (escaped === undefined) return { message: 'unknown escape sequence', offset: at };
      text += escaped.char;
      at += escaped.length;
    } else if (char === quote) quote = '';
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else text += char;
  }
  if (quote !== '') return { message: 'a quote is not closed', offset: Math.max(begin, 0) };
  if (begin >= 0) words.push({ text, offset: begin });
  return words;
}

function unescapeAt(value: string, at: number): { readonly char: string; readonly length: number } | undefined {
  const rest = value.slice(at, at + 9);
  const plain = ESCAPES[rest[0] ?? ''];
  if (plain !== undefined) return { char: plain, length: 1 };
  const match = /^(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))/.exec(rest);
  if (match === null) return undefined;
  const [whole, byte, short, long, octal] = match;
  const code = octal === undefined ? Number.parseInt(byte ?? short ?? long ?? '', 16) : Number.parseInt(octal, 8);
  // NUL ends strings; bytes above ASCII would be halves of characters here.
  const most = byte === undefined && octal === undefined ? 0x10ffff : 0x7f;
  if (code === 0 || code > most || (code >= 0xd800 && code <= 0xdfff)) return undefined;
  return { char: String.fromCodePoint(code), length: whole.length };
}
