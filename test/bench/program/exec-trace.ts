import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';

const MOUNT = '/run/bulkhead-bench-trace';

const EVENT = /\s([0-9]+\.[0-9]+): sched_process_(exec|fork): (?:filename|comm)=(.*?) (?:old_)?pid=\d+/;

/** One execve(2) or fork anywhere on the machine. */
export interface Execution {
  /** CLOCK_MONOTONIC in ms. */
  readonly at: number;
  /** What was executed; for a fork the name of the process that forked, in front of it `fork:`. */
  readonly program: string;
}

/**
 * Every execve(2) and fork since the trace was begun, oldest first; test/bench/bench begins and ends it. This is the
 * only way to see when nspawn and init were executed, and a sandbox cloned, without changing what is measured.
 */
export function executions(instance: string): Execution[] {
  mkdirSync(MOUNT, { recursive: true });
  execFileSync('mount', ['-t', 'tracefs', 'tracefs', MOUNT]);
  try {
    const text = readFileSync(`${MOUNT}/instances/${instance}/trace`, 'utf8');
    return text.split('\n').flatMap((line) => {
      const [, seconds, kind, name] = EVENT.exec(line) ?? [];
      if (name === undefined) return [];
      return [{ at: Number(seconds) * 1000, program: kind === 'fork' ? `fork:${name}` : name }];
    });
  } finally {
    execFileSync('umount', [MOUNT]);
    rmdirSync(MOUNT);
  }
}
