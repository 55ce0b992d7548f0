import type { TaskLook } from './look.ts';

/**
 * What a thread was at between two looks.
 *
 *   gone             it is not there any more
 *   stopped, traced  by a signal; by a debugger
 *   frozen           with its cgroup
 *   uninterruptible  asleep, in a call that no signal ends
 *   vfork            waiting until its child executed something
 *   futex            asleep for ever, until another thread wakes it
 *   blocked          asleep in a call that is about somebody else
 *   idle             asleep where a server waits for work, or for time to pass
 *   user, kernel     on a CPU all the time, in its own code or in a call
 *   starved          wants a CPU, and gets next to none: of the host, or
 *   throttled        because of its quota
 *   paging           busy with getting its memory back from the disk
 *   stirring         mostly asleep, with a bit of work now and then
 */
export type Standing =
  | 'gone'
  | 'stopped'
  | 'traced'
  | 'frozen'
  | 'uninterruptible'
  | 'vfork'
  | 'futex'
  | 'blocked'
  | 'idle'
  | 'user'
  | 'kernel'
  | 'starved'
  | 'throttled'
  | 'paging'
  | 'stirring';

/** What else happened between the two looks. */
export interface Meanwhile {
  readonly ms: number;
  readonly frozen: boolean;
  readonly throttled: boolean;
}

/** Major faults a second of a thread that does nothing but page. */
const PAGING_FAULTS = 200;
/** Shares of the time between two looks. */
const ALMOST_NO_CPU = 0.1;
const WAITS_MUCH = 0.3;
/** On a CPU or in its queue for so much of the time: it never sleeps. */
const NEVER_SLEEPS = 0.9;
/** System time is so much more than user time in a thread that is in the kernel. */
const MOSTLY_KERNEL = 3;

/** Where it ran between two looks at the same thread, this is what it did; where it slept, what it sleeps in. */
export function standingOf(before: TaskLook, after: TaskLook | undefined, meanwhile: Meanwhile): Standing {
  if (after === undefined || after.state === 'Z' || after.state === 'X') return 'gone';
  if (after.state === 't') return 'traced';
  if (meanwhile.frozen) return 'frozen';
  if (after.state === 'T') return 'stopped';
  if (after.state !== 'R' && after.turns === before.turns) return asleep(after);
  return awake(before, after, meanwhile);
}

function asleep({ state, call }: TaskLook): Standing {
  // Outside of a call it waits for a page of its memory.
  if (state === 'D') return call === undefined ? 'paging' : call.kind === 'vfork' ? 'vfork' : 'uninterruptible';
  // Not looked at that closely, or woken at that moment.
  if (call === undefined) return 'stirring';
  return call.kind === 'other' || call.kind === 'vfork' ? 'blocked' : call.kind;
}

function awake(before: TaskLook, after: TaskLook, { ms, throttled }: Meanwhile): Standing {
  const span = Math.max(ms, 1);
  const run = (after.runMs - before.runMs) / span;
  const wait = (after.waitMs - before.waitMs) / span;
  if (((after.majorFaults - before.majorFaults) * 1000) / span >= PAGING_FAULTS) return 'paging';
  if (throttled && wait > WAITS_MUCH) return 'throttled';
  if (run < ALMOST_NO_CPU && wait > WAITS_MUCH) return 'starved';
  if (run + wait < NEVER_SLEEPS) return 'stirring';
  const user = after.userMs - before.userMs;
  return after.systemMs - before.systemMs > MOSTLY_KERNEL * user ? 'kernel' : 'user';
}

/** Asleep, and not of its own will: only somebody else can end that. */
export function isStuck(standing: Standing): boolean {
  return standing === 'uninterruptible' || standing === 'vfork' || standing === 'futex' || standing === 'blocked';
}

/** It could not get on, whatever it wanted. */
export function isHeldUp(standing: Standing): boolean {
  const held: readonly Standing[] = ['stopped', 'traced', 'frozen', 'starved', 'throttled', 'paging'];
  return held.includes(standing);
}
