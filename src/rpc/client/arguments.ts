/** Checks of what callers say: a mistake of theirs is thrown at once, where they made it. */

/** @throws TypeError, RangeError */
export function inRange(name: string, value: unknown, least: number, most: number): number {
  if (typeof value !== 'number') throw new TypeError(`'${name}' is no number`);
  if (!(value >= least && value <= most))
    throw new RangeError(`'${name}' is ${value}, and not from ${least} to ${most}`);
  return value;
}

/** @throws TypeError, RangeError */
export function whole(name: string, value: unknown, least: number, most: number): number {
  const number = inRange(name, value, least, most);
  if (!Number.isInteger(number)) throw new RangeError(`'${name}' is ${number}, and not a whole number`);
  return number;
}

/** @throws TypeError, RangeError */
export function text(name: string, value: unknown, mostBytes: number): string {
  if (typeof value !== 'string') throw new TypeError(`'${name}' is no string`);
  const bytes = Buffer.byteLength(value);
  if (bytes < 1 || bytes > mostBytes) throw new RangeError(`'${name}' has ${bytes} bytes, and not 1 to ${mostBytes}`);
  return value;
}
