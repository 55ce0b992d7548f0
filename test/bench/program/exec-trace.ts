import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';

const MOUNT = '/run/bulkhead-bench-trace';

/** One execve(2) anywhere on the machine. */
export interface Execution {
  /** CLOCK_MONOTONIC in ms. */
  readonly at: number;
  readonly program: string;
}

/**
 * Every execve(2) since the trace was begun, oldest first; test/bench/bench begins and ends it. This is the only way to
 * see when nspawn and init were executed without changing what is measured.
 */
export function executions(instance: string): Execution[] {
  mkdirSync(MOUNT, { recursive: true });
  execFileSync('mount', ['-t', 'tracefs', 'tracefs', MOUNT]);
  try {
    const text = readFileSync(`${MOUNT}/instances/${instance}/trace`, 'utf8');
    return text.split('\n').flatMap((line) => {
      const [, seconds, program] = /\s([0-9]+\.[0-9]+): sched_process_exec: filename=(.*) pid=\d+/.exec(line) ?? [];
      return program === undefined ? [] : [{ at: Number(seconds) * 1000, program }];
    });
  } finally {
    execFileSync('umount', [MOUNT]);
    rmdirSync(MOUNT);
  }
}
