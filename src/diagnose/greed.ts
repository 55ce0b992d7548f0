import { formatBytes } from '../base/bytes.ts';
import { inFlight } from './activity-page.ts';
import type { Course } from './course.ts';
import { type Finding, finding } from './finding.ts';
import { progressKey, seconds, threadOf } from './hang.ts';
import type { SandboxLook, Terms } from './look.ts';

/** Refused forks a second of something that does nothing but fork, and looks in a row with so many. */
const BOMB_PER_SECOND = 20;
const BOMB_LOOKS = 3;
/** Share of the time for which all of a sandbox's processes wait for memory, or of a CPU that they get. */
const STALLED = 0.3;
const SCARCELY_RUNS = 0.5;
/** CPU time per time of a program that does nothing but compute. */
const BUSY = 0.9;

/** What is counted from one look to the next. */
export function withGreed(before: SandboxLook | undefined, look: SandboxLook, course: Course, terms: Terms): Course {
  if (before === undefined) return course;
  const ms = Math.max(1, look.at - before.at);
  const forks = ((look.forksRefused - before.forksRefused) * 1000) / ms;
  const cpuMs = (look.cpuMs ?? 0) - (before.cpuMs ?? 0);
  const isIdleOrBusyForGood = doneOf(look) !== doneOf(before);
  const spins = terms.livenessFails && !isIdleOrBusyForGood && cpuMs >= BUSY * ms;
  const held = stillHeld(course, before, look);
  const isCrawling = crawls(before, look, ms, cpuMs) && (!isIdleOrBusyForGood || held.length > 0);
  return {
    ...course,
    bombLooks: forks >= BOMB_PER_SECOND ? course.bombLooks + 1 : 0,
    crawlMs: isCrawling ? course.crawlMs + ms : 0,
    crawlHeld: isCrawling ? held : [],
    probedBusyMs: spins ? course.probedBusyMs + cpuMs : 0,
  };
}

/** Requests that were answered, as far as a page says. */
function doneOf({ page }: SandboxLook): number {
  return (page?.slots ?? []).reduce((sum, { done, failed }) => sum + done + failed, 0);
}

/**
 * The requests in hand that have not got on since the crawl began, nor does their thread sleep of its own will. That
 * others are answered, between two pages that the one gets, is no reason to let these wait for ever.
 */
function stillHeld({ crawlMs, crawlHeld }: Course, before: SandboxLook, look: SandboxLook): string[] {
  const since = crawlMs > 0 ? crawlHeld : held(before);
  return held(look).filter((name) => since.includes(name));
}

function held(look: SandboxLook): string[] {
  return inFlight(look.page)
    .filter((slot) => !['S', undefined].includes(threadOf(slot, look)?.state))
    .map((slot) => `${slot.index} ${progressKey(slot)}`);
}

function crawls(before: SandboxLook, look: SandboxLook, ms: number, cpuMs: number): boolean {
  if (look.memoryHigh <= before.memoryHigh) return false;
  const [one, other] = [before.memoryPressure, look.memoryPressure];
  if (one !== undefined && other !== undefined) return other.fullUs - one.fullUs >= STALLED * ms * 1000;
  // A host without PSI: what is slowed down gets next to no CPU.
  return cpuMs < SCARCELY_RUNS * ms;
}

/** It is slowed down at memory.high for so long that nothing gets done any more, or not what it has begun. */
export function findCrawl({ crawlMs, crawlHeld }: Course, look: SandboxLook, { spinMs }: Terms): Finding | undefined {
  if (crawlMs < spinMs) return undefined;
  const size = look.memoryBytes === undefined ? 'its memory' : formatBytes(look.memoryBytes);
  const done = crawlHeld.length === 0 ? 'nothing done' : 'no progress of requests in hand';
  const text = `it crawls at memory-high: ${size} in use, slowed down ${look.memoryHigh} times, ${done} for ${seconds(crawlMs)}`;
  return finding('leak', 'memory-high', 0.8, text, [
    ['memory', size],
    ['slowed down', `${look.memoryHigh} times since it began`],
    ['waiting for memory', `${Math.round((look.memoryPressure?.fullUs ?? 0) / 1000)} ms in all since it began`],
    ['requests held up', `${crawlHeld.length}`],
  ]);
}

/** Forks are refused by the dozen, again and again. */
export function findForkBomb({ bombLooks }: Course, look: SandboxLook): Finding | undefined {
  if (bombLooks < BOMB_LOOKS) return undefined;
  const text = `it forks without an end: ${look.forksRefused} forks refused at its limit of tasks`;
  return finding('fork-bomb', 'tasks', 0.95, text, [
    ['forks refused', `${look.forksRefused} since it began, many at each of ${bombLooks} looks in a row`],
    ['processes', `${look.processes} looked at, ${look.threads} threads in them`],
  ]);
}

/** It computes all the time, answers nothing, and a probe that asks it fails. */
export function findProbedSpin({ probedBusyMs, looks }: Course, look: SandboxLook, terms: Terms): Finding | undefined {
  if (probedBusyMs < terms.spinMs) return undefined;
  const first = looks[0] ?? look;
  const cpu = (look.cpuMs ?? 0) - (first.cpuMs ?? 0);
  const user = (look.cpuUserMs ?? 0) - (first.cpuUserMs ?? 0);
  const kind = cpu - user > user ? 'kernel' : 'user';
  const text = `it used ${seconds(probedBusyMs)} of CPU while its liveness probe failed`;
  return finding('spin', kind, 0.7, text, [
    ['CPU time', `${Math.round(probedBusyMs)} ms since the probe failed`],
    ['liveness probe', 'fails'],
  ]);
}
