import type { FailureClass } from '../base/failure-class.ts';

/**
 * What is done about one failure. `run` and `notify` bring nothing back: the next step is taken at once. All others do,
 * or end it: `restart` starts anew, `replace` promotes a standby first, `recycle` starts the new sandbox before the old
 * one is asked to stop, `raise` raises a limit and then replaces, `freeze` keeps the sandbox as it is outside of the
 * pool and starts another one, `quarantine` stops the plugin until somebody releases it.
 */
export type Step = PlainStep | RaiseStep | RunStep;

export type StepKind = Step['kind'];

interface StepCommon {
  /** Time between the failure and the step, beside the back-off. */
  readonly delayMs: number;
  /**
   * How often this step is taken, until the next one's turn comes; `any`: for steps that start something, as often as
   * the restart budget allows. After the last step comes quarantine.
   */
  readonly times: number | 'any';
  /** Taken only within `recovery.risky`; at other times the next step is taken instead. */
  readonly risky: boolean;
}

export interface PlainStep extends StepCommon {
  readonly kind: 'restart' | 'replace' | 'recycle' | 'freeze' | 'quarantine' | 'notify';
}

export interface RaiseStep extends StepCommon {
  readonly kind: 'raise';
  readonly limit: RaisableLimit;
  /** Bytes of memory, or a number; or percent of what the limit is now. */
  readonly by: { readonly amount: number } | { readonly percent: number };
  /** Never above this, in the limit's own unit. */
  readonly most: number;
}

export type RaisableLimit = 'memory' | 'tasks' | 'files';

/** Runs a command on the host, as root, with what is known in its environment. */
export interface RunStep extends StepCommon {
  readonly kind: 'run';
  readonly words: readonly string[];
  readonly timeoutMs: number;
}

export type Chain = readonly Step[];

/** A chain for each class, filled with what holds where nothing is said. */
export type Chains = Readonly<Record<FailureClass | 'default', Chain>>;

/** When risky steps are allowed, by the host's clock. `to` before `from` is on the next day, which `days` need not have. */
export interface RiskyWindow {
  /** 0 is Sunday. */
  readonly days: readonly number[];
  /** Minutes since midnight. */
  readonly fromMinute: number;
  readonly toMinute: number;
}

/** Something done at certain times: the expression is one of `cron.ts`. */
export interface Scheduled {
  readonly action: 'recycle';
  readonly cron: string;
}
