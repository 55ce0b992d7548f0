import { formatDuration } from '../base/duration.ts';
import { type ActivitySlot, inFlight } from './activity-page.ts';
import type { Course } from './course.ts';
import { type Finding, finding } from './finding.ts';
import type { SandboxLook, TaskLook, Terms } from './look.ts';
import { lostBetween } from './lost-time.ts';
import { ROUNDS, type Suspect } from './suspect.ts';
import { isStuck } from './thread-state.ts';

/** So many requests that a living loop has lost are more than bad luck. */
const MOST_LOST = 3;
/** A request is lost when it is overdue for as long again as it may take, and for this long at least; ms. */
const LEAST_LOST_MS = 2000;
/** Times the time that a request may take, for one without a deadline of its own. */
const PATIENCE = 9;

/** A request that should have been answered by now. */
export interface OverdueRequest {
  readonly slot: ActivitySlot;
  readonly startedAt: number;
  /** What it had, in milliseconds: until its deadline, or the time that requests may take. */
  readonly allowedMs: number;
  /** How long it has been over, less the time that its sandbox could not use. */
  readonly overdueMs: number;
}

export function overdueRequests({ lost }: Course, { page, at }: SandboxLook, terms: Terms): OverdueRequest[] {
  return inFlight(page).flatMap((slot) => {
    const { startedAt, deadline } = slot;
    if (startedAt === undefined) return [];
    const allowedMs = deadline === undefined ? terms.requestTimeoutMs : Math.max(0, deadline - startedAt);
    const overdueMs = at - startedAt - lostBetween(lost, startedAt, at) - allowedMs;
    return overdueMs > 0 ? [{ slot, startedAt, allowedMs, overdueMs }] : [];
  });
}

/** When the next request becomes overdue of those in hand, as things are; undefined when there is none. */
export function nextDeadline({ lost }: Course, { page, at }: SandboxLook, terms: Terms): number | undefined {
  const times = inFlight(page).flatMap(({ startedAt, deadline }) => {
    if (startedAt === undefined) return [];
    const due = (deadline ?? startedAt + terms.requestTimeoutMs) + lostBetween(lost, startedAt, at);
    return due > at ? [due] : [];
  });
  return times.length === 0 ? undefined : Math.min(...times);
}

/** A request that is overdue in a thread that does not get on, and cannot by itself. */
export function findHang(course: Course, look: SandboxLook, terms: Terms): Finding | undefined {
  const overdue = overdueRequests(course, look, terms);
  for (const request of overdue) {
    const suspect = course.suspects.get(request.slot.index);
    const thread = threadOf(request.slot, look);
    const found = suspect === undefined ? undefined : judge(request, suspect, thread, look, terms);
    if (found !== undefined) return found;
  }
  return findLost(course, overdue, look);
}

function judge(
  request: OverdueRequest,
  suspect: Suspect,
  thread: TaskLook | undefined,
  look: SandboxLook,
  terms: Terms,
): Finding | undefined {
  const { standing, rounds } = suspect;
  if (standing === 'user' || standing === 'kernel') return judgeSpin(request, suspect, thread, look, terms);
  if (rounds < ROUNDS) return undefined;
  const facts = [...requestFacts(request, look), ...threadFacts(thread), roundFacts(suspect)];
  if (standing === 'gone')
    return finding('hang', 'lost-request', 0.8, `${aged(request, look)}, but the thread that had it is gone`, facts);
  if (!isStuck(standing)) return undefined;
  const text = `${aged(request, look)}: its thread ${whereabouts(standing, thread)}`;
  if (standing === 'futex') return finding('deadlock', 'futex', 0.95, text, facts);
  return finding('hang', standing, 0.95, text, facts);
}

function judgeSpin(
  request: OverdueRequest,
  suspect: Suspect,
  thread: TaskLook | undefined,
  look: SandboxLook,
  { spinMs }: Terms,
): Finding | undefined {
  if (suspect.busyMs < spinMs) return undefined;
  const kind = suspect.systemMs > suspect.userMs ? 'kernel' : 'user';
  const place = kind === 'kernel' ? 'in the kernel' : 'in its own code';
  const text = `${aged(request, look)}: its thread used ${seconds(suspect.busyMs)} of CPU ${place} without any progress`;
  return finding('spin', kind, 0.9, text, [
    ...requestFacts(request, look),
    ...threadFacts(thread),
    ['CPU time', `${Math.round(suspect.userMs)} ms user, ${Math.round(suspect.systemMs)} ms system`],
  ]);
}

/** Requests that nothing works on any more, in threads that wait for other ones. One of them is not worth a sandbox. */
function findLost(course: Course, overdue: readonly OverdueRequest[], look: SandboxLook): Finding | undefined {
  const lost = overdue.filter((request) => isLost(request, course));
  const first = lost[0];
  if (first === undefined) return undefined;
  const several = course.lostRequests.length >= MOST_LOST;
  if (!several && !nobodyServes(lost, course, look)) return undefined;
  const count = Math.max(course.lostRequests.length, lost.length);
  const text = `${aged(first, look)}, and nothing works on it: ${count === 1 ? 'it is' : `one of ${count} that are`} lost`;
  return finding('hang', 'lost-request', several ? 0.7 : 0.5, text, requestFacts(first, look));
}

/**
 * Whether its thread, or its loop, does other things or nothing, for so long that it will not come back to it. Whoever
 * said no deadline may be waited for much longer than is usual: nobody says that the client has given up.
 */
export function isLost({ slot, overdueMs, allowedMs }: OverdueRequest, course: Course): boolean {
  const patience = slot.deadline === undefined ? PATIENCE * allowedMs : allowedMs;
  const looks = course.suspects.get(slot.index)?.restingLooks ?? 0;
  return looks >= ROUNDS && overdueMs > Math.max(patience, LEAST_LOST_MS);
}

/** All slots that were ever used have lost their request, in threads that wait for other work and are no loop. */
function nobodyServes(lost: readonly OverdueRequest[], { suspects }: Course, { page }: SandboxLook): boolean {
  const used = page?.slots.filter(({ inFlight: busy, done, failed }) => busy + done + failed > 0) ?? [];
  const idle = lost.every(({ slot }) => {
    const suspect = suspects.get(slot.index);
    const ownThread = slot.tid !== undefined && slot.tid !== page?.loopTid;
    return ownThread && suspect?.standing === 'idle' && suspect.rounds >= ROUNDS;
  });
  return idle && used.length === lost.length;
}

/** The thread that the slot names; the main thread where it names none. */
export function threadOf({ tid }: ActivitySlot, look: SandboxLook): TaskLook | undefined {
  return tid === undefined ? look.main : look.named.get(tid);
}

/** What changes in a slot when a request of it gets on. */
export function progressKey({ sequence, progress, done, failed, startedAt, tid }: ActivitySlot): string {
  return [sequence, progress, done, failed, startedAt ?? 0, tid ?? 0].join(' ');
}

/** "request 'embed' is 12s old, overdue for 7s". */
function aged({ slot, startedAt, overdueMs }: OverdueRequest, { at }: SandboxLook): string {
  const name = slot.method === undefined ? 'a request' : `request '${slot.method}'`;
  return `${name} is ${seconds(at - startedAt)} old, overdue for ${seconds(overdueMs)}`;
}

function whereabouts(standing: string, thread: TaskLook | undefined): string {
  const call = thread?.call?.name;
  const of = thread?.target === undefined ? '' : ` of ${thread.target}`;
  switch (standing) {
    case 'futex':
      return 'waits for a lock for ever (futex)';
    case 'vfork':
      return 'waits for a child that executes nothing (vfork)';
    case 'uninterruptible':
      return `is uninterruptible in ${call ?? 'no call'}${of}`;
    default:
      return `is blocked in ${call ?? 'a call'}${of}`;
  }
}

type Fact = readonly [what: string, value: string];

function requestFacts({ slot, startedAt, allowedMs, overdueMs }: OverdueRequest, { at }: SandboxLook): Fact[] {
  return [
    ['request', `${slot.method ?? 'without a name'}, ${slot.inFlight} in hand of slot ${slot.index}`],
    ['age', `${seconds(at - startedAt)}, of ${seconds(allowedMs)} that it had; overdue for ${seconds(overdueMs)}`],
    ...(slot.traceId === undefined ? [] : [['trace', slot.traceId] as const]),
  ];
}

export function threadFacts(thread: TaskLook | undefined): Fact[] {
  if (thread === undefined) return [['thread', 'not there']];
  const { pid, tid, innerTid, state, call, wchan, target, turns } = thread;
  return [
    ['thread', `${tid} of process ${pid} (${innerTid} inside), state ${state}, ${turns} turns on a CPU so far`],
    ...(call === undefined ? [] : [['system call', call.name] as const]),
    ...(target === undefined ? [] : [['on', target] as const]),
    ...(wchan === undefined || wchan === '0' ? [] : [['sleeps in', wchan] as const]),
  ];
}

export function roundFacts({ rounds }: Suspect): Fact {
  return ['looks', `the same at ${rounds} looks in a row`];
}

export function seconds(ms: number): string {
  return formatDuration(ms < 10_000 ? Math.round(ms / 100) * 100 : Math.round(ms / 1000) * 1000);
}
