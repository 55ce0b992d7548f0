import type { TaskLook } from './look.ts';
import { type Meanwhile, type Standing, standingOf } from './thread-state.ts';

/** A thread that would have something to get on with, over the looks at it in a row. */
export interface Suspect {
  /** What changes as soon as it gets on: with another key, all begins anew. */
  readonly key: string;
  readonly standing: Standing;
  /** Looks in a row at which it was found the same, asleep in the very same call. */
  readonly rounds: number;
  readonly callText: string | undefined;
  /** Looks in a row at which it slept of its own will, with or without a bit of work in between. */
  readonly restingLooks: number;
  /** Own time on a CPU since the key changed, while it never slept. */
  readonly userMs: number;
  readonly systemMs: number;
  readonly busyMs: number;
}

/** What is told of a thread from one look to the next. */
export interface ThreadStep {
  readonly before: TaskLook | undefined;
  readonly after: TaskLook | undefined;
  readonly meanwhile: Meanwhile;
  /** The look came so late that it proves nothing. */
  readonly late: boolean;
  /** All threads were searched: one that was not found is gone. */
  readonly complete: boolean;
}

/** A thread in the same call at so many looks in a row is stuck in it. */
export const ROUNDS = 3;

export function followThread(known: Suspect | undefined, key: string, step: ThreadStep): Suspect {
  const fresh: Suspect = {
    key,
    standing: 'stirring',
    rounds: 0,
    callText: undefined,
    restingLooks: 0,
    userMs: 0,
    systemMs: 0,
    busyMs: 0,
  };
  if (known === undefined || known.key !== key) return fresh;
  const { before, after, meanwhile, late, complete } = step;
  if (after === undefined && !complete) return fresh;
  if (after === undefined)
    return { ...fresh, standing: 'gone', rounds: known.standing === 'gone' ? known.rounds + 1 : 1 };
  // Another thread than at the look before, or the first time that it is found.
  if (before === undefined || before.tid !== after.tid) return fresh;
  const standing = standingOf(before, after, meanwhile);
  const callText = after.call?.text;
  const same = standing === known.standing && callText === known.callText;
  const rounds = late ? known.rounds : same ? known.rounds + 1 : 1;
  const rests = standing === 'idle' || standing === 'stirring';
  const restingLooks = rests ? known.restingLooks + (late ? 0 : 1) : 0;
  return { key, standing, rounds, callText, restingLooks, ...busy(known, standing, before, after) };
}

/** Time in which it wanted to get on and could not is neither for nor against it. */
function busy(
  known: Suspect,
  standing: Standing,
  before: TaskLook,
  after: TaskLook,
): Pick<Suspect, 'userMs' | 'systemMs' | 'busyMs'> {
  const { userMs, systemMs, busyMs } = known;
  if (standing === 'user' || standing === 'kernel')
    return {
      userMs: userMs + after.userMs - before.userMs,
      systemMs: systemMs + after.systemMs - before.systemMs,
      busyMs: busyMs + after.runMs - before.runMs,
    };
  const sleeps = ['stirring', 'idle', 'blocked', 'futex', 'uninterruptible', 'vfork', 'gone'].includes(standing);
  return sleeps ? { userMs: 0, systemMs: 0, busyMs: 0 } : { userMs, systemMs, busyMs };
}
