import { formatDuration } from '../base/duration.ts';

/** How a sandbox is asked whether it is well. Times in ms. */
export interface Probe {
  /** `notify` is not asked: WATCHDOG=1 of sd_notify(3) must come within `everyMs` times `misses`. */
  readonly kind: ProbeKind;
  /** Of http: what is requested, with a query where there is one; 200 to 399 passes. */
  readonly path?: string;
  /** Of command: program and arguments, inside the sandbox; status 0 passes. */
  readonly words?: readonly string[];
  /** Of tcp and http: the port that the program binds itself inside; absent for the sandbox's probe socket. */
  readonly port?: number;
  readonly everyMs: number;
  readonly timeoutMs: number;
  /** Failures in a row that count as failed. Of the startup probe 0: as many as fit into the start timeout. */
  readonly misses: number;
  /** Successes in a row that count as passed. */
  readonly passes: number;
}

/** As the program finds its probe socket in LISTEN_FDNAMES, behind its listeners. */
export const PROBE_SOCKET_NAME = 'probe';

export const PROBE_KINDS = ['tcp', 'http', 'command', 'notify'] as const;

export type ProbeKind = (typeof PROBE_KINDS)[number];

export const PROBE_NAMES = ['startup', 'readiness', 'liveness'] as const;

export type ProbeName = (typeof PROBE_NAMES)[number];

export type Probes = { readonly [Name in ProbeName]?: Probe };

/** `http /ready every 1s, 3 misses`. */
export function probeText({ kind, path, words, port, everyMs, misses }: Probe): string {
  const what = [kind, path ?? words?.join(' '), port === undefined ? undefined : `at port ${port}`];
  const failed = misses === 0 ? 'until start-timeout' : `${misses} ${misses === 1 ? 'miss' : 'misses'}`;
  return `${what.filter((word) => word !== undefined).join(' ')} every ${formatDuration(everyMs)}, ${failed}`;
}
