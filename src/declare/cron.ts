import type { Refusal } from './tcp-address.ts';

/** One field of an expression: what it is called, its range, and names that stand for numbers from the least on. */
interface Field {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  readonly names?: readonly string[];
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const LONGEST_MONTHS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Sunday is 0 and 7. */
const WEEKDAY: Field = { name: 'day of the week', least: 0, most: 7, names: DAYS };
const MINUTE: Field = { name: 'minute', least: 0, most: 59 };

const FIELDS: readonly Field[] = [
  { name: 'second', least: 0, most: 59 },
  MINUTE,
  { name: 'hour', least: 0, most: 23 },
  { name: 'day of the month', least: 1, most: 31 },
  { name: 'month', least: 1, most: 12, names: MONTHS },
  WEEKDAY,
];

const LONGEST = 200;

/**
 * Checks an expression of cron: five fields, or six with seconds first, of numbers, names, '*', ranges, lists and
 * steps. Just what every cron means by these, and a part of what node-cron takes.
 */
export function readCron(text: string): { readonly value: string } | Refusal {
  const read = readFields(text);
  return 'refused' in read ? read : { value: text };
}

/** The same times with the numbers spelled out, so that no two programs can understand it differently. */
export function plainCron(text: string): string {
  const read = readFields(text);
  if ('refused' in read) throw new RangeError(`'${text}': ${read.refused}`);
  return read.value.map((numbers, index) => (isWhole(numbers, index) ? '*' : numbers.join(','))).join(' ');
}

/** The numbers of six fields; seconds are 0 where there are five. */
function readFields(text: string): { readonly value: readonly (readonly number[])[] } | Refusal {
  if (text.length > LONGEST) return { refused: `it has ${text.length} characters` };
  const words = text.trim().split(/\s+/);
  if (words.length !== 5 && words.length !== 6) {
    const count = text.trim() === '' ? 'no fields' : words.length === 1 ? 'one field' : `${words.length} fields`;
    return { refused: `it has ${count}, not minute, hour, day of the month, month and day of the week` };
  }
  const fields = FIELDS.slice(6 - words.length);
  const values: (readonly number[])[] = words.length === 5 ? [[0]] : [];
  for (const [index, field] of fields.entries()) {
    const read = readField(words[index] ?? '', field);
    if ('refused' in read) return read;
    values.push(read.value);
  }
  const [days = [], months = []] = values.slice(-3, -1);
  // Where both are named, some programs mean days that are both, and others days that are either.
  if (words.at(-3) !== '*' && words.at(-1) !== '*')
    return { refused: "it names days of the month and days of the week; one of them must be '*'" };
  if (!months.some((month) => days.some((day) => day <= (LONGEST_MONTHS[month - 1] ?? 0)))) {
    return { refused: 'no month that it names has such a day' };
  }
  return { value: values };
}

function isWhole(numbers: readonly number[], index: number): boolean {
  const field = FIELDS[index];
  return field !== undefined && numbers.length === field.most - field.least + 1;
}

/** Days of the week, written as in an expression: `mon-fri`, `sat,sun`. 0 is Sunday. */
export function readDays(text: string): { readonly value: readonly number[] } | Refusal {
  const read = readField(text, WEEKDAY);
  if ('refused' in read) return read;
  return { value: [...new Set(read.value.map((day) => day % 7))].sort((a, b) => a - b) };
}

function readField(text: string, field: Field): { readonly value: readonly number[] } | Refusal {
  const values = new Set<number>();
  for (const part of text.split(',')) {
    const [, range = '', step] = /^([^/]*)(?:\/(\d{1,2}))?$/.exec(part) ?? [];
    const [first, last = first] = range === '*' ? [String(field.least), String(field.most)] : range.split('-');
    const [from, to] = [numberOf(first, field), numberOf(last, field)];
    if (range.split('-').length > 2 || from === undefined || to === undefined)
      return { refused: `${shown(part)} is no ${field.name}: ${expected(field)}` };
    // Saturday to Sunday: the week ends with either of Sunday's numbers.
    const end = field === WEEKDAY && to === 0 && from > 0 ? 7 : to;
    if (from > end) return { refused: `the ${field.name} goes backwards in ${shown(part)}` };
    const by = step === undefined ? 1 : Number(step);
    if (by === 0 || (step !== undefined && range === first)) {
      return { refused: `the step of ${shown(part)} takes '*' or a range, and a number from 1 on` };
    }
    for (let value = from; value <= end; value += by) values.add(value);
  }
  return { value: [...values].sort((a, b) => a - b) };
}

function numberOf(text: string | undefined, { least, most, names = [] }: Field): number | undefined {
  const lower = (text ?? '').toLowerCase();
  const named = names.indexOf(lower);
  if (named >= 0) return named + least;
  const number = /^\d{1,2}$/.test(lower) ? Number(lower) : Number.NaN;
  return number >= least && number <= most ? number : undefined;
}

function expected({ least, most, names }: Field): string {
  const words = names === undefined ? '' : `, or ${names[0]} to ${names.at(-1)}`;
  return `${least} to ${most}${words}`;
}

function shown(part: string): string {
  return `'${part.slice(0, 20).replace(/[\p{Cc}\p{Cs}]/gu, '?')}'`;
}
