import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { BENCH_DIRECTORY } from './plugin.ts';

/** What is done to a process: the signal, and what comes of it (test/bench/native/steady.c). */
export const INJURIES = {
  kill: { signal: 9, title: 'kill -9' },
  loop: { signal: 12, title: 'silent loop' },
  stop: { signal: 19, title: 'SIGSTOP' },
  oom: { signal: 1, title: 'out of memory' },
} as const;

export type Injury = keyof typeof INJURIES;

/** Seconds without a sign of life after which a process hangs, for all who notice. */
export const WATCHDOG_S = 2;

/** How the clients of a service got over one injury; see test/bench/native/recover.c. */
export interface Recovery {
  /** The longest time (ms) between two good answers. */
  readonly gapMs: number;
  /** Until as many processes as before answer; undefined when that did not come about in time. */
  readonly wholeMs: number | undefined;
  readonly good: number;
  readonly refused: number;
  readonly broken: number;
  readonly late: number;
}

/** How long (ms) it may take until all of it runs: an emulated machine needs minutes for what else takes seconds. */
export const WHOLE_MS = 300_000;

/** Somebody who keeps the same server running. */
export interface Keeper {
  readonly title: string;
  readonly port: number;
  /** Processes that serve. */
  readonly size: number;
  /** What it notices at all; what is done about anything else is measured once, to see that. */
  readonly notices: readonly Injury[];
  install(): Promise<void>;
  /** Host pid of a process that serves. */
  victim(): Promise<number>;
  /** Resolves when all is as before the injury. */
  whole(): Promise<void>;
  remove(): Promise<void>;
}

export async function injure(keeper: Keeper, injury: Injury, giveUpMs: number): Promise<Recovery> {
  const pid = await keeper.victim();
  const words = [keeper.port, keeper.size, INJURIES[injury].signal, pid, giveUpMs].map(String);
  const { stdout } = await promisify(execFile)(`${BENCH_DIRECTORY}/recover`, words);
  const [, gap = 0, whole = -1, good = 0, refused = 0, broken = 0, late = 0] = stdout.trim().split(' ').map(Number);
  // Nobody else ends what nobody noticed.
  if (whole < 0) end(pid);
  return { gapMs: gap / 1e6, wholeMs: whole < 0 ? undefined : whole / 1e6, good, refused, broken, late };
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself, after all.
  }
}

/** Pids of living processes whose command line has this word. */
export function pidsWith(word: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid && commandLine(pid).includes(word));
}

/** Words of it; none for a zombie, and for one that is gone. */
function commandLine(pid: number): string[] {
  try {
    // PM2 puts all of it into one word.
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split(/[\0 ]/);
  } catch {
    return [];
  }
}
