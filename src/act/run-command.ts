import { execFile } from 'node:child_process';
import { constants } from 'node:os';
import type { RunOrder } from '../decide/order.ts';

/** A command that says more is killed. */
const MOST_OUTPUT = 1024 * 1024;
/** Where programs are looked for that are named without a path: as systemd does. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin';

export interface RanCommand {
  /** Exit status, 128 and the signal's number where one ended it, 127 when it could not be started. */
  readonly status: number;
  /** The first line of what it said, or why it could not be started. */
  readonly text: string;
}

/** Runs a command on the host, bounded in time and output; it is killed when its time is over. */
export function runCommand({ words, timeoutMs, environment }: RunOrder): Promise<RanCommand> {
  const [program = '', ...rest] = words;
  const options = {
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: MOST_OUTPUT,
    cwd: '/',
    env: { PATH, ...environment },
  } as const;
  return new Promise((resolve) => {
    execFile(program, rest, options, (error, stdout, stderr) => {
      const said = firstLine(stdout) || firstLine(stderr);
      if (error === null) return resolve({ status: 0, text: said });
      const { code, signal } = error;
      if (typeof code === 'number') return resolve({ status: code, text: said });
      const number = signal ? constants.signals[signal] : undefined;
      if (number !== undefined) return resolve({ status: 128 + number, text: said });
      resolve({ status: 127, text: error.message.slice(0, 200) });
    });
  });
}

function firstLine(text: string): string {
  return (text.split('\n', 1)[0] ?? '').slice(0, 200);
}
