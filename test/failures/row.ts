import type { FailureClass } from '../../src/base/failure-class.ts';
import type { SandboxStatus } from '../../src/control/api.ts';
import type { Isolation } from '../../src/declare/declaration.ts';

/** One way to fail, and all that has to come of it. */
export interface Row {
  /** Its plugins have names that begin with it. */
  readonly name: string;
  /** What happens, for people. */
  readonly what: string;
  /** What it is known from, for people. */
  readonly noticedBy: string;
  /** Lines of the declaration beside the common ones. */
  readonly declares: readonly string[];
  /** Words for the program. */
  readonly words?: readonly string[];
  /** Its program is replaced by something that only looks like one. */
  readonly spoilt?: boolean;
  /** What the plugin is asked to do, `spin` or `leak-files?n=50`; without it, it fails by being started. */
  readonly act?: string;
  /** Or what is done to one of its sandboxes from outside. */
  readonly provoke?: (victim: SandboxStatus) => void;
  /** It has to have run well for so long (ms) before. */
  readonly settleMs?: number;
  /** It takes a CPU for itself, and is started when the others are through. */
  readonly hot?: boolean;
  /** It takes a minute and more by nature; nobody waits for it. */
  readonly slow?: boolean;
  readonly expect: Expectation;
}

export interface Expectation {
  readonly class: FailureClass;
  readonly kind: string | undefined;
  /** Found in the verdict's words. */
  readonly evidence: RegExp;
  /** Found in what was decided. */
  readonly action: RegExp;
  /** The pool is whole again; or the plugin is in quarantine. */
  readonly outcome: 'whole' | 'quarantined';
  /** Requests that may be lost: those in the hands of the dead sandbox, or none. */
  readonly loses: 'hands' | 'nothing';
  /** How long it may take (ms) until it is known. */
  readonly withinMs: number;
}

/** What was measured of one. */
export interface Measured {
  readonly row: string;
  readonly isolation: Isolation;
  readonly class: FailureClass;
  readonly kind: string | undefined;
  /** From what was done to the incident, and from there until the pool was whole, or the plugin in quarantine (ms). */
  readonly noticedMs: number;
  readonly recoveredMs: number;
  readonly answered: number;
  readonly lost: number;
}
