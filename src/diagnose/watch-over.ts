import { inFlight } from './activity-page.ts';
import { type Course, LATE_MS, withLook } from './course.ts';
import { checkExcuses } from './excuses.ts';
import type { Finding } from './finding.ts';
import { findCrawl, findForkBomb, findProbedSpin, withGreed } from './greed.ts';
import { findHang, isLost, nextDeadline, overdueRequests, progressKey, threadOf } from './hang.ts';
import { findLeak, withTrends } from './leak.ts';
import type { SandboxLook, Terms } from './look.ts';
import { withLost } from './lost-time.ts';
import { findSilentLoop, findStopped, findStuckMain, loopThread, missedMs, standsStill } from './standstill.ts';
import { followThread, ROUNDS, type Suspect, type ThreadStep } from './suspect.ts';
import { isHeldUp, isStuck, type Meanwhile } from './thread-state.ts';
import type { Verdict } from './verdict.ts';

export interface Watched {
  readonly course: Course;
  /** News: what is wrong with it, told once a minute as long as it is. */
  readonly verdict: Verdict | undefined;
  /** When it is to be looked at again (CLOCK_MONOTONIC), and whether that closely. */
  readonly nextAt: number;
  readonly close: boolean;
}

/** Between two looks at something suspicious; ms. */
const ROUND_MS = 250;
/** Looks at that pace in a row; what is not clear by then will be at heartbeats. */
const CLOSE_LOOKS = 6;
/** A request is looked at so soon after it has become overdue (ms), and never sooner than this after the look before. */
const AFTER_DEADLINE_MS = 20;
/** What is wrong for long is told so often (ms). */
const REMIND_MS = 60_000;
/** What is remembered of requests that were lost. */
const MOST_REMEMBERED = 16;

/** The whole judgement of one sandbox: what was known, and one more look, to what is known now. */
export function watchOver(known: Course, look: SandboxLook, terms: Terms): Watched {
  const course = follow(known, look, terms);
  const found = terms.starting ? undefined : judge(course, look, terms);
  const told = found === undefined ? undefined : toldOf(found, known, look);
  const isNews = told !== undefined && told.at === look.at;
  const verdict = found === undefined || !isNews ? undefined : verdictOf(found, course, look, terms);
  const suspicious = isSuspicious(course, look, terms);
  const closeLooks = suspicious ? course.closeLooks + 1 : 0;
  // What is half proven is proven soon.
  const close = suspicious && (closeLooks <= CLOSE_LOOKS || isHalfProven(course)) && found === undefined;
  return {
    course: { ...course, told, closeLooks },
    verdict,
    nextAt: close ? look.at + ROUND_MS : nextLook(course, look, terms),
    close: suspicious,
  };
}

/** When it was told first, or last: what goes on is told again, for whoever has done something about it in vain. */
function toldOf({ class: failure, kind }: Finding, { told }: Course, { at }: SandboxLook): Course['told'] {
  const name = `${failure} ${kind}`;
  return told !== undefined && told.name === name && at - told.at < REMIND_MS ? told : { name, at };
}

function nextLook(course: Course, look: SandboxLook, terms: Terms): number {
  const heartbeat = look.at + terms.heartbeatMs;
  const deadline = nextDeadline(course, look, terms);
  if (deadline === undefined) return heartbeat;
  return Math.min(heartbeat, Math.max(look.at + ROUND_MS, deadline + AFTER_DEADLINE_MS));
}

/** What is true of it after this look. */
function follow(known: Course, look: SandboxLook, terms: Terms): Course {
  const before = known.looks.at(-1);
  const course = withLook(known, look);
  const late = look.lateMs >= LATE_MS;
  const meanwhile: Meanwhile = {
    ms: before === undefined ? 0 : look.at - before.at,
    frozen: look.frozen || before?.frozen === true,
    throttled: before !== undefined && look.throttled > before.throttled,
  };
  const step = (thread: (seen: SandboxLook) => ThreadStep['before']): ThreadStep => ({
    before: before === undefined ? undefined : thread(before),
    after: thread(look),
    meanwhile,
    late,
    complete: look.complete,
  });
  const suspects = new Map<number, Suspect>();
  for (const slot of inFlight(look.page))
    suspects.set(
      slot.index,
      followThread(
        course.suspects.get(slot.index),
        progressKey(slot),
        step((seen) => threadOf(slot, seen)),
      ),
    );
  const loop = followThread(course.loop, loopKey(look), step(loopThread));
  const main = followThread(
    course.main,
    'main',
    step((seen) => seen.main),
  );
  const heldUp = [loop, main, ...suspects.values()].some(({ standing }) => isHeldUp(standing));
  const lost = heldUp && before !== undefined ? withLost(course.lost, before.at, look.at) : course.lost;
  const stands = standsStill(look);
  const followed: Course = {
    ...course,
    suspects,
    loop,
    main,
    lost,
    ticks: ticksOf(course, before, look),
    stoppedSince: stands ? (course.stoppedSince ?? look.at) : undefined,
    trends: withTrends(course.trends, look, terms),
  };
  return withLostRequests(withGreed(before, look, followed, terms), look, terms);
}

/** A loop that was looked at twice within a second need not have come round in between. */
function ticksOf({ ticks }: Course, before: SandboxLook | undefined, { page }: SandboxLook): number {
  if (page?.tick === undefined || before?.page?.tick === undefined) return 0;
  return page.tick > before.page.tick ? ticks + 1 : ticks;
}

/** A loop gets on when it comes round, or any request does. */
function loopKey({ page }: SandboxLook): string {
  const ended = (page?.slots ?? []).reduce((sum, { done, failed }) => sum + done + failed, 0);
  return `${page?.tick ?? 0} ${ended}`;
}

function withLostRequests(course: Course, look: SandboxLook, terms: Terms): Course {
  const lost = overdueRequests(course, look, terms)
    .filter((request) => isLost(request, course))
    .flatMap(({ slot, startedAt }) => {
      // All that a thread of its own has is lost when it waits for other work; of a loop only the oldest is known to be.
      const count = slot.tid === look.page?.loopTid ? 1 : Math.min(slot.inFlight, MOST_REMEMBERED);
      return Array.from({ length: count }, (_, number) => `${slot.index} ${startedAt} ${number}`);
    })
    .filter((name) => !course.lostRequests.includes(name));
  if (lost.length === 0) return course;
  return { ...course, lostRequests: [...course.lostRequests, ...lost].slice(-MOST_REMEMBERED) };
}

function judge(course: Course, look: SandboxLook, terms: Terms): Finding | undefined {
  const stopped = findStopped(course, look, terms);
  if (stopped !== undefined || standsStill(look)) return stopped;
  return (
    findHang(course, look, terms) ??
    findSilentLoop(course, look, terms) ??
    findForkBomb(course, look) ??
    findCrawl(course, look, terms) ??
    findProbedSpin(course, look, terms) ??
    (look.page === undefined ? findStuckMain(course, look, terms) : undefined) ??
    findLeak(course, look, terms)
  );
}

/** Whether threads are to be looked at closely: what they are in, and again soon. */
function isSuspicious(course: Course, look: SandboxLook, terms: Terms): boolean {
  if (overdueRequests(course, look, terms).length > 0) return true;
  const missed = missedMs(course, look);
  return missed !== undefined && missed > 2 * Math.max(terms.heartbeatMs, 1000);
}

function isHalfProven({ suspects, loop }: Course): boolean {
  return [...suspects.values(), ...(loop === undefined ? [] : [loop])].some(
    ({ standing, rounds }) => (isStuck(standing) || standing === 'gone') && rounds < ROUNDS,
  );
}

function verdictOf(found: Finding, course: Course, look: SandboxLook, terms: Terms): Verdict {
  const suspects = [...course.suspects.values(), course.loop, course.main];
  const standings = new Set(suspects.flatMap((suspect) => (suspect === undefined ? [] : [suspect.standing])));
  const traceIds = inFlight(look.page).flatMap(({ traceId }) => (traceId === undefined ? [] : [traceId]));
  return { ...found, excuses: checkExcuses(course, standings, terms), traceIds };
}
