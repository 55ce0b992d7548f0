import { execFile } from 'node:child_process';
import { printable } from '../base/printable.ts';

/** Time (ms) that journalctl may take; it reads the end of the journal only. */
const LIMIT_MS = 3000;
/** journald writes with some delay; a second look (ms later) finds what the first missed. */
const SECOND_LOOK_MS = 150;
const LONGEST = 200;

/** What systemd says of a job that failed, and mount(8) at the end; what went before says more. */
const VERDICT = /^(Failed to (start|mount) |\s*dmesg\(1\) )/;

/**
 * The last error that was logged by or about a unit, for people: at most 200 characters, none of them a control
 * character. Undefined when there is none, or the journal cannot be read.
 */
export async function lastErrorOf(unit: string): Promise<string | undefined> {
  const found = await look(unit);
  if (found !== undefined) return found;
  await new Promise((resolve) => setTimeout(resolve, SECOND_LOOK_MS));
  return look(unit);
}

function look(unit: string): Promise<string | undefined> {
  const words = [`--unit=${unit}`, '--priority=err', '--lines=5', '--output=cat', '--no-pager', '--quiet'];
  return new Promise((resolve) => {
    execFile('journalctl', words, { timeout: LIMIT_MS, maxBuffer: 1 << 20 }, (error, stdout) => {
      const lines = error === null ? stdout.trim().split('\n') : [];
      const line = lines.findLast((each) => !VERDICT.test(each)) ?? lines.at(-1);
      resolve(line ? printable(line, LONGEST) : undefined);
    });
  });
}

/** A line of a program can be as long as it likes; what is kept of it is for people. */
const LONGEST_TAIL_LINE = 500;

/**
 * The last entries of a unit's journal up to a moment (wall clock, ms since 1970), a line each, with time and
 * identifier. Undefined when the journal cannot be read.
 */
export function tailOf(unit: string, lines: number, until: number): Promise<readonly string[] | undefined> {
  const words = [
    `--unit=${unit}`,
    `--lines=${lines}`,
    `--until=@${Math.ceil(until / 1000)}`,
    '--output=short-iso-precise',
    '--no-hostname',
    '--no-pager',
    '--quiet',
  ];
  return new Promise((resolve) => {
    execFile('journalctl', words, { timeout: LIMIT_MS, maxBuffer: 4 << 20 }, (error, stdout) => {
      // What came before it took too long, or became too much, is worth having.
      if (error !== null && stdout === '') return resolve(undefined);
      const all = stdout.split('\n').filter((line) => line !== '');
      resolve(all.slice(-lines).map((line) => printable(line, LONGEST_TAIL_LINE)));
    });
  });
}
