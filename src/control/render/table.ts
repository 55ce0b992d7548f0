import { escapeText } from '../../base/printable.ts';
import { paint, type Style } from './colour.ts';
import { displayWidth, shorten } from './width.ts';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** Columns that may be cut with "…" when the terminal is narrow, down to this width. */
  readonly shrinkTo?: number;
  /** Left out altogether when cutting is not enough; the highest number goes first. */
  readonly dropRank?: number;
}

export interface Cell {
  readonly text: string;
  readonly style?: Style;
}

export interface TableOptions {
  /** Columns of the terminal, Infinity for no limit. */
  readonly columns: number;
  readonly colour: boolean;
  readonly indent?: number;
}

const GAP = '  ';

/** Lays out a table, a line for the titles and one for each row, without trailing spaces. Cells are escaped here. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  options: TableOptions,
): string {
  const indent = ' '.repeat(options.indent ?? 0);
  const safe = rows.map((row) => row.map((cell) => ({ ...cell, text: escapeText(cell.text) })));
  const { shown, widths } = layOutColumns(columns, safe, options.columns - indent.length);
  const line = (cells: readonly Cell[]) =>
    indent +
    shown
      .map((index, place) =>
        layOut(cells[index], columns[index], widths[place] ?? 0, place === shown.length - 1, options.colour),
      )
      .join(GAP);
  const titles = columns.map((column): Cell => ({ text: column.title, style: 'strong' }));
  return [titles, ...safe].map((cells) => `${line(cells).trimEnd()}\n`).join('');
}

function layOut(
  cell: Cell | undefined,
  column: Column | undefined,
  width: number,
  last: boolean,
  colour: boolean,
): string {
  const text = shorten(cell?.text ?? '', width);
  const padding = ' '.repeat(Math.max(0, width - displayWidth(text)));
  const painted = paint(text, cell?.style, colour);
  if (column?.align === 'right') return padding + painted;
  return last ? painted : painted + padding;
}

/** Which columns are shown, and how wide: first drop nothing and cut, then drop by rank and cut again. */
function layOutColumns(columns: readonly Column[], rows: readonly (readonly Cell[])[], available: number) {
  const natural = columns.map((column, index) =>
    Math.max(displayWidth(column.title), ...rows.map((row) => displayWidth(row[index]?.text ?? ''))),
  );
  let shown = columns.map((_, index) => index);
  for (;;) {
    const widths = cut(shown, columns, natural, available);
    const victim = shown
      .filter((index) => columns[index]?.dropRank !== undefined)
      .sort((one, other) => (columns[other]?.dropRank ?? 0) - (columns[one]?.dropRank ?? 0))[0];
    if (total(widths) <= available || victim === undefined) return { shown, widths };
    shown = shown.filter((index) => index !== victim);
  }
}

/** Takes what is too much from the shrinkable columns, always from the widest. */
function cut(
  shown: readonly number[],
  columns: readonly Column[],
  natural: readonly number[],
  available: number,
): number[] {
  const widths = shown.map((index) => natural[index] ?? 0);
  const floors = shown.map((index, place) =>
    Math.min(widths[place] ?? 0, columns[index]?.shrinkTo ?? Number.POSITIVE_INFINITY),
  );
  while (total(widths) > available) {
    let widest = -1;
    for (const [place, width] of widths.entries()) {
      if (width > (floors[place] ?? width) && (widest < 0 || width > (widths[widest] ?? 0))) widest = place;
    }
    if (widest < 0) break;
    const room = (widths[widest] ?? 0) - (floors[widest] ?? 0);
    const others = widths.filter((_, place) => place !== widest && (widths[place] ?? 0) > (floors[place] ?? 0));
    const next = Math.max(0, ...others.filter((width) => width < (widths[widest] ?? 0)));
    const step = Math.min(room, total(widths) - available, Math.max(1, (widths[widest] ?? 0) - next));
    widths[widest] = (widths[widest] ?? 0) - step;
  }
  return widths;
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0) + GAP.length * Math.max(0, widths.length - 1);
}
