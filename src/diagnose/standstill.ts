import type { Course } from './course.ts';
import { type Finding, finding } from './finding.ts';
import { roundFacts, seconds, threadFacts } from './hang.ts';
import type { SandboxLook, TaskLook, Terms } from './look.ts';
import { lostBetween } from './lost-time.ts';
import { ROUNDS, type Suspect } from './suspect.ts';

/** How often a main loop says that it came round. */
const TICK_MS = 1000;
/** Ticks that are missed before a loop is called silent. */
const MISSED = 3;
/** Looks at which a loop has to have come round, before it is missed: some programs never say so while they wait. */
const LEAST_TICKS = 3;

/** Somebody stopped or froze it, and left it so. */
export function findStopped(
  { stoppedSince }: Course,
  { at, frozen, main }: SandboxLook,
  terms: Terms,
): Finding | undefined {
  if (stoppedSince === undefined || at - stoppedSince < terms.stoppedMs) return undefined;
  const since = seconds(at - stoppedSince);
  if (frozen) return finding('hang', 'frozen', 1, `its cgroup has been frozen for ${since}`, threadFacts(main));
  return finding('hang', 'stopped', 1, `its main process has been stopped by a signal for ${since}`, threadFacts(main));
}

/** Whether its main thread was stopped by a signal, or all of it was frozen. A debugger may take its time. */
export function standsStill({ frozen, main }: SandboxLook): boolean {
  return frozen || main?.state === 'T';
}

/** The thread of the main loop, as far as the page says. */
export function loopThread(look: SandboxLook): TaskLook | undefined {
  const tid = look.page?.loopTid;
  return tid === undefined ? look.main : look.named.get(tid);
}

/** How long the main loop has been missed; undefined when it does not say when it comes round. */
export function missedMs({ lost, ticks }: Course, { page, at }: SandboxLook): number | undefined {
  const tick = page?.tick;
  return tick === undefined || ticks < LEAST_TICKS ? undefined : at - tick - lostBetween(lost, tick, at);
}

/** Whether the loop's own thread has a request in hand that is not overdue: waiting for that is what it is for. */
function isServing(course: Course, { page, at }: SandboxLook, terms: Terms): boolean {
  return (page?.slots ?? []).some(({ inFlight, tid, startedAt, deadline }) => {
    if (inFlight === 0 || tid !== page?.loopTid || startedAt === undefined) return false;
    const due = deadline ?? startedAt + terms.requestTimeoutMs;
    return at - lostBetween(course.lost, startedAt, at) <= due;
  });
}

/** The main loop came round all the time, and does not any more, though it could. */
export function findSilentLoop(course: Course, look: SandboxLook, terms: Terms): Finding | undefined {
  const { loop } = course;
  const missed = missedMs(course, look);
  if (loop === undefined || missed === undefined || missed < MISSED * Math.max(terms.heartbeatMs, TICK_MS))
    return undefined;
  if (terms.withoutTraffic || isServing(course, look, terms)) return undefined;
  const busy = loop.standing === 'user' || loop.standing === 'kernel';
  const asleep = ['idle', 'blocked', 'futex', 'uninterruptible', 'vfork', 'gone'].includes(loop.standing);
  if (busy ? loop.busyMs < terms.spinMs : !asleep || loop.rounds < ROUNDS) return undefined;
  const thread = loopThread(look);
  const doing = busy ? `it used ${seconds(loop.busyMs)} of CPU meanwhile` : doingWords(loop, thread);
  const text = `its main loop has not come round for ${seconds(missed)}: ${doing}`;
  return finding('unresponsive', 'silent-loop', busy ? 0.8 : 0.9, text, [
    ['main loop', `last round ${seconds(missed)} ago; it says so every second`],
    ...threadFacts(thread),
    ...(busy ? [] : [roundFacts(loop)]),
  ]);
}

function doingWords({ standing }: Suspect, thread: TaskLook | undefined): string {
  if (standing === 'gone') return 'its thread is gone';
  return `its thread sleeps in ${thread?.call?.name ?? 'the kernel'}`;
}

/**
 * Nobody says what it does, but its main thread has been in one and the same uninterruptible call for as long as a
 * request may take.
 */
export function findStuckMain({ main: suspect }: Course, look: SandboxLook, terms: Terms): Finding | undefined {
  const kind = suspect?.standing;
  if (suspect === undefined || (kind !== 'uninterruptible' && kind !== 'vfork')) return undefined;
  if (suspect.rounds < ROUNDS || suspect.rounds * terms.heartbeatMs < terms.requestTimeoutMs) return undefined;
  const call = look.main?.call?.name ?? 'the kernel';
  const of = look.main?.target === undefined ? '' : ` of ${look.main.target}`;
  const since = seconds(suspect.rounds * terms.heartbeatMs);
  return finding('hang', kind, 0.7, `its main thread has been uninterruptible in ${call}${of} for about ${since}`, [
    ...threadFacts(look.main),
    roundFacts(suspect),
  ]);
}
