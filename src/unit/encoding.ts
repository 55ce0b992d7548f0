import { formatBytes } from '../base/bytes.ts';
import { capabilityMask } from '../base/capability-mask.ts';
import { quoteWord } from './quote.ts';

/** How values of one kind are written: for D-Bus, and as the text after `Key=` in a unit file (one line each). */
export interface Encoding<Value> {
  /** D-Bus signature. Measured on systemd 257: a wrong integer type is refused as "Unexpected message contents". */
  readonly signature: string;
  /** For the bus door: `t` takes a number or `infinity`, `ay` a Uint8Array. */
  readonly bus: (value: Value) => unknown;
  readonly text: (value: Value) => readonly string[];
}

type Amount = number | 'infinity';

/** Program and arguments of an Exec line, argv[0] included. */
export type Command = readonly string[];

const oneLine = (value: string) => [escapeSpecifiers(value)];

/** What may pass to or from a disk in a second; the path is the disk, or anything that is on it. */
export interface DiskRate {
  readonly path: string;
  readonly rate: number;
}

/** Level at which the output of a command is logged, as syslog(3) counts. */
export const LOG_LEVEL: Encoding<'err'> = { signature: 'i', bus: () => 3, text: oneLine };

/** Free text and words of a fixed vocabulary. */
export const TEXT: Encoding<string> = { signature: 's', bus: (value) => value, text: oneLine };

export const FLAG: Encoding<boolean> = {
  signature: 'b',
  bus: (value) => value,
  text: (value) => [value ? 'yes' : 'no'],
};

export const COUNT: Encoding<Amount> = { signature: 't', bus: (value) => value, text: (value) => [String(value)] };

/** A signal by its number. */
export const SIGNAL: Encoding<number> = { signature: 'i', bus: (value) => value, text: (value) => [String(value)] };

/** For the kernel's choice when memory runs out, -1000 to 1000. */
export const SCORE: Encoding<number> = { signature: 'i', bus: (value) => value, text: (value) => [String(value)] };

/** Shown with a suffix where that loses nothing. */
export const BYTES: Encoding<Amount> = {
  signature: 't',
  bus: (value) => value,
  text: (value) => [value === 'infinity' ? value : exactBytes(value)],
};

/** A 32-bit number. */
export const SMALL_COUNT: Encoding<number> = {
  signature: 'u',
  bus: (value) => value,
  text: (value) => [String(value)],
};

/** Access modes, in octal. */
export const MODE: Encoding<number> = {
  signature: 'u',
  bus: (value) => value,
  text: (value) => [value.toString(8).padStart(4, '0')],
};

/** Capabilities by their full names: over the bus a set of bits. */
export const CAPABILITIES: Encoding<readonly string[]> = {
  signature: 't',
  bus: (value) => Number(capabilityMask(value)),
  text: (value) => [value.join(' ')],
};

/**
 * Limits by disk. What is sent goes on top of what the unit has; only an empty list takes all of it back
 * (`changesOf` in live-limits.ts).
 */
export const DISK_RATES: Encoding<readonly DiskRate[]> = {
  signature: 'a(st)',
  bus: (value) => value.map(({ path, rate }) => [path, rate]),
  text: (value) => value.map(({ path, rate }) => `${escapeSpecifiers(quoteWord(path))} ${exactBytes(rate)}`),
};

/** Milliseconds here, microseconds for systemd. */
export const TIME: Encoding<number> = {
  signature: 't',
  bus: (value) => value * 1000,
  text: (value) => [value % 1000 === 0 ? `${value / 1000}s` : `${value}ms`],
};

/** Microseconds of CPU per second; a percentage of one CPU in a unit file. */
export const CPU_QUOTA: Encoding<Amount> = {
  signature: 't',
  bus: (value) => value,
  text: (value) => [value === 'infinity' ? '' : `${value / 10_000}%`],
};

export const UNITS: Encoding<readonly string[]> = {
  signature: 'as',
  bus: (value) => [...value],
  text: (value) => [value.join(' ')],
};

/** `NAME=value` assignments. */
export const ASSIGNMENTS: Encoding<readonly string[]> = {
  signature: 'as',
  bus: (value) => [...value],
  text: (value) => value.map((assignment) => escapeSpecifiers(quoteWord(assignment))),
};

/** Journal fields; byte strings on the bus. */
export const LOG_FIELDS: Encoding<readonly string[]> = {
  signature: 'aay',
  bus: (value) => value.map((field) => new TextEncoder().encode(field)),
  text: (value) => value.map((field) => escapeSpecifiers(quoteWord(field))),
};

/**
 * One command, of which systemd expands nothing: each '$' is doubled. `ExecStartEx` with `no-env-expand` would say the
 * same, but systemd 252 writes it into the transient unit file under that name and cannot read it back at a
 * daemon-reload ("Service has no ExecStart=", load state bad-setting).
 */
export const COMMAND: Encoding<Command> = {
  signature: 'a(sasb)',
  bus: (value) => [[value[0] ?? '', value.map(escapeVariables), false]],
  text: (value) => [value.map((word) => escapeSpecifiers(escapeVariables(quoteWord(word)))).join(' ')],
};

/** Device nodes with the access allowed: `r` and `w`, never `m`, which would let nodes be made. */
export const DEVICES: Encoding<readonly (readonly [path: string, access: string])[]> = {
  signature: 'a(ss)',
  bus: (value) => value.map((device) => [...device]),
  text: (value) => value.map(([path, access]) => `${escapeSpecifiers(path)} ${access}`),
};

/** Exit statuses that count as success (no signals). */
export const EXIT_STATUSES: Encoding<readonly number[]> = {
  signature: '(aiai)',
  bus: (value) => [[...value], []],
  text: (value) => [value.join(' ')],
};

function exactBytes(bytes: number): string {
  const short = formatBytes(bytes);
  return short.includes('.') || short.endsWith('B') ? String(bytes) : short;
}

/** A '%' in a unit file begins a specifier. Over the bus nothing is expanded. */
function escapeSpecifiers(text: string): string {
  return text.replaceAll('%', '%%');
}

/** A '$' in a command begins a variable, on the bus, too. */
function escapeVariables(text: string): string {
  return text.replaceAll('$', '$$$$');
}
