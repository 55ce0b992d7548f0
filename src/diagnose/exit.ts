/** A system call that the filter does not allow, and who made it inside the sandbox (0: unknown). */
export interface ForbiddenCall {
  /** Its name, or `unknown`. */
  readonly call: string;
  readonly pid: number;
  readonly tid: number;
}

/** How a payload ended, as init reported it; `unknown` when only the empty cgroup was seen. */
export interface Exit {
  readonly how: 'exited' | 'killed' | 'dumped' | 'unknown';
  /** Exit status or signal number. */
  readonly status: number;
  /** What it was killed for. */
  readonly forbidden?: ForbiddenCall | undefined;
  /** The process of ours whose end it was killed for. */
  readonly lostHelper?: 'egress' | 'adapter' | 'prober' | undefined;
  /** Whether processes of the payload were there when its main process had ended; undefined when nobody looked. */
  readonly childrenLeft?: boolean | undefined;
}

const SIGNALS: Readonly<Record<number, string>> = {
  1: 'HUP',
  2: 'INT',
  3: 'QUIT',
  4: 'ILL',
  5: 'TRAP',
  6: 'ABRT',
  7: 'BUS',
  8: 'FPE',
  9: 'KILL',
  10: 'USR1',
  11: 'SEGV',
  12: 'USR2',
  13: 'PIPE',
  14: 'ALRM',
  15: 'TERM',
  24: 'XCPU',
  25: 'XFSZ',
  31: 'SYS',
};

/** "exit status 3", "killed by SIGSEGV (core dumped)", "forbidden system call 'ptrace' (134)". */
export function describeExit(exit: Exit): string {
  const { forbidden, lostHelper } = exit;
  if (forbidden !== undefined && forbidden.call !== 'unknown') return `forbidden system call '${forbidden.call}' (134)`;
  if (forbidden !== undefined) return 'forbidden system call (134)';
  if (lostHelper === 'egress') return 'killed because the forwarder of its connections ended';
  if (lostHelper === 'adapter') return 'killed because the adapter to its ports ended';
  if (lostHelper === 'prober') return 'killed because the prober of its health ended';
  if (exit.how === 'unknown') return 'ended without a report';
  if (exit.how === 'exited') return `exit status ${exit.status}`;
  return `killed by ${signalName(exit.status)}${exit.how === 'dumped' ? ' (core dumped)' : ''}`;
}

/** `SIGSEGV`, or `signal 40` for one without a name of its own. */
export function signalName(signal: number): string {
  const name = SIGNALS[signal];
  return name === undefined ? `signal ${signal}` : `SIG${name}`;
}
