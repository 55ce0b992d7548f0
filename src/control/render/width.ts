/** Marks that combine with the letter before them take no column. */
const COMBINING = /\p{Mn}|\p{Me}/u;
/** East Asian wide and full-width blocks, and pictures: two columns (Unicode UAX #11, the blocks that matter). */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;

/** Columns that a text without control characters takes on a terminal. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const letter of text) width += columnsOf(letter);
  return width;
}

/** The text cut to at most `columns`, ending in "…" when something was cut. */
export function shorten(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  let kept = '';
  let width = 0;
  for (const letter of text) {
    width += columnsOf(letter);
    if (width > columns - 1) break;
    kept += letter;
  }
  return columns < 1 ? '' : `${kept}…`;
}

/** Breaks a text into lines of at most `columns` at spaces; a longer word stays whole. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter((each) => each !== '')) {
    if (line !== '' && displayWidth(line) + 1 + displayWidth(word) > columns) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  if (line !== '' || lines.length === 0) lines.push(line);
  return lines;
}

function columnsOf(letter: string): number {
  if (COMBINING.test(letter)) return 0;
  return WIDE.test(letter) ? 2 : 1;
}
