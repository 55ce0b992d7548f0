import type { FailureClass } from '../base/failure-class.ts';

/** A fact that a verdict rests on, in short words for people; at most 200 characters each. */
export interface Evidence {
  readonly what: string;
  readonly value: string;
}

/** What can make a sandbox look ill that is not. */
export type Excuse =
  | 'supervisor-late'
  | 'frozen'
  | 'stopped'
  | 'throttled'
  | 'starved'
  | 'paging'
  | 'clock-jump'
  | 'memory-high'
  | 'starting'
  | 'no-traffic'
  | 'debugged';

export interface ExcuseCheck {
  readonly excuse: Excuse;
  readonly applies: boolean;
  readonly detail: string;
}

/** What is wrong with a sandbox, and why that is believed. */
export interface Verdict {
  readonly class: FailureClass;
  /** A free word that tells failures of a class apart: `SIGSEGV`, `own-limit`, `blocked`. */
  readonly kind: string | undefined;
  /** From 0 to 1. */
  readonly confidence: number;
  /** One line: "request 'embed' has been in read(2) of a pipe for 12 s, its deadline was 5 s". */
  readonly text: string;
  /** At most 32. */
  readonly evidence: readonly Evidence[];
  readonly excuses: readonly ExcuseCheck[];
  /** Requests in its hands, as far as known. */
  readonly traceIds: readonly string[];
}
