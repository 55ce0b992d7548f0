import { formatBytes } from '../base/bytes.ts';
import { formatDuration } from '../base/duration.ts';
import type { FailureClass } from '../base/failure-class.ts';

/**
 * What is done about one failure. `run` and `notify` bring nothing back: the next step is taken at once. All others do,
 * or end it: `restart` starts anew, `replace` promotes a standby first, `recycle` starts the new sandbox before the old
 * one is asked to stop, `raise` raises a limit and then replaces, `freeze` keeps the sandbox as it is outside of the
 * pool and starts another one, `rollback` replaces it and goes back to what was live before, `quarantine` stops the
 * plugin until somebody releases it.
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
  readonly kind: 'restart' | 'replace' | 'recycle' | 'freeze' | 'rollback' | 'quarantine' | 'notify';
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

/** `replace 2 times, raise memory by 50% up to 2G, quarantine`. */
export function chainText(chain: Chain): string {
  return chain.map(stepText).join(', ');
}

export function stepText(step: Step): string {
  const { delayMs, times, risky } = step;
  const often = step.kind === 'restart' || step.kind === 'replace' || step.kind === 'recycle';
  return [
    step.kind === 'raise' ? raiseText(step) : step.kind === 'run' ? `run ${step.words.join(' ')}` : step.kind,
    ...(delayMs > 0 ? [`after ${formatDuration(delayMs)}`] : []),
    ...(times === 'any' || (times === 1 && !often) ? [] : [times === 1 ? 'once' : `${times} times`]),
    ...(risky ? ['when risky steps are allowed'] : []),
  ].join(' ');
}

function raiseText({ limit, by, most }: RaiseStep): string {
  const amount = 'percent' in by ? `${by.percent}%` : quantity(limit, by.amount);
  return `raise ${limit} by ${amount} up to ${quantity(limit, most)}`;
}

function quantity(limit: RaisableLimit, amount: number): string {
  return limit === 'memory' ? formatBytes(amount) : String(amount);
}

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** `mon,tue 01:00 to 05:00`. */
export function riskyText({ days, fromMinute, toMinute }: RiskyWindow): string {
  return `${days.map((day) => DAYS[day]).join(',')} ${timeOfDay(fromMinute)} to ${timeOfDay(toMinute)}`;
}

function timeOfDay(minute: number): string {
  return [Math.floor(minute / 60), minute % 60].map((part) => String(part).padStart(2, '0')).join(':');
}
