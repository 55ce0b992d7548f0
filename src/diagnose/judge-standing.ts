import { formatBytes } from '../base/bytes.ts';
import type { JudgedSignal, JudgeTerms } from './judge.ts';
import { chanceOf, quantileOf, shareAtMost } from './statistics.ts';
import {
  type Answers,
  type BothSides,
  comparable,
  isBusierThanBefore,
  LASTING_LOOKS,
  type SideLook,
  type Trial,
  type TrialLook,
} from './trial.ts';

/** Connections that may always wait, and how many times those of the old side. */
const WAITING = 8;
const TIMES_WAITING = 4;
/**
 * A request that is in hand this many times longer than the slowest of the old side, and by this much (ms), is stuck.
 * Several are by less: when they are this many times longer than nearly all of the old side's, and that many would be by
 * chance once in ten thousand judgements.
 */
const TIMES_SLOWEST = 3;
const STUCK_MS = 1000;
const NEARLY_ALL = 0.95;
/** Next to none are answered when so many times as many are stuck. */
const NEXT_TO_NONE = 10;
const CHANCE = 0.0001;
/** The old side's share is known no better than this (z of 95 %). */
const KNOWN_Z = 1.64;

/** How both sides stand, whatever they answer. */
export function judgeStanding(trial: Trial, terms: JudgeTerms): readonly JudgedSignal[] {
  const last = trial.looks.at(-1);
  if (last === undefined) return [];
  return [
    deathsOf(last, terms),
    illOf(last),
    unreadyOf(trial, last),
    stalledOf(trial, last, terms),
    queueOf(trial, last),
    memoryOf(last, terms),
  ];
}

function deathsOf({ old, new: is }: BothSides<SideLook>, { deaths }: JudgeTerms): JudgedSignal {
  const bound = deaths === 0 ? 'none' : `${deaths}`;
  return row('deaths', `${old.deaths}`, `${is.deaths}`, bound, is.deaths > deaths);
}

/** What was found ill is as good as dead. */
function illOf({ old, new: is }: BothSides<SideLook>): JudgedSignal {
  return row('ill', `${old.ill}`, `${is.ill}`, 'none', is.ill > 0);
}

function unreadyOf(trial: Trial, { old, new: is }: BothSides<SideLook>): JudgedSignal {
  const bad = lasts(trial, (look) => shareUnready(look.new) > shareUnready(look.old));
  return row('unready', standing(old), standing(is), 'as the old side, but for a moment', bad);
}

/**
 * It has work, and nothing comes of it, for longer than the old side ever took; or next to nothing, where there is more of
 * it. What the old side does meanwhile excuses it only by being stuck, too: it may have nothing to do any more, because
 * all of its clients wait here.
 */
function stalledOf(trial: Trial, last: BothSides<SideLook>, { samples }: JudgeTerms): JudgedSignal {
  const { answers } = comparable(trial, samples);
  const [most, several] = [patienceOf(trial, answers), patienceForSeveral(answers)];
  const watched = (trial.looks.at(-1)?.at ?? 0) - (trial.looks[0]?.at ?? 0);
  const bad = lasts(trial, ({ at, old, new: is }) => {
    if (isStuckToo(old, at - trial.since, several)) return false;
    if (tooMany(is, old, several, trial.totals.new.requests, answers)) return true;
    const nobodyTakes = (is.queued ?? 0) > (old.queued ?? 0) && watched > most;
    return is.requests === 0 && (nobodyTakes || (is.agesMs[0] ?? 0) > most);
  });
  const least = Math.min(most, several);
  const bound = least === Infinity ? 'any' : `an answer within ${(least / 1000).toFixed(1)} s`;
  return row('stalled', handText(last.old), handText(last.new), bound, bad, least !== Infinity);
}

/** How long (ms) any answer may take. */
function patienceOf(trial: Trial, { durations }: Answers): number {
  if (durations.length > 0) return TIMES_SLOWEST * quantileOf(durations, 1) + STUCK_MS;
  return lasts(trial, ({ old }) => (old.requests ?? 0) > 0) ? STUCK_MS : Infinity;
}

/** How long (ms) answers may take when there are several to wait for. */
function patienceForSeveral({ durations }: Answers): number {
  return durations.length === 0 ? Infinity : TIMES_SLOWEST * quantileOf(durations, NEARLY_ALL) + STUCK_MS;
}

/** Whether more take longer than chance makes them, and next to none is answered beside them. */
function tooMany(is: SideLook, old: SideLook, patience: number, answered: number, { durations }: Answers): boolean {
  const stuck = longer(is.agesMs, patience);
  if (stuck === 0 || (is.requests ?? 0) * NEXT_TO_NONE > stuck) return false;
  const meant = longer(old.agesMs, patience);
  const slow = { of: durations.length + meant, count: longer(durations, patience) + meant };
  return chanceOf({ of: stuck + answered, count: stuck }, shareAtMost(slow, KNOWN_Z)) < CHANCE;
}

function longer(values: readonly number[], than: number): number {
  return values.filter((value) => value > than).length;
}

/** It, too, has work of which nothing comes: then it is the host, or something that both need. */
function isStuckToo({ requests, queued, agesMs }: SideLook, watchedMs: number, patience: number): boolean {
  if ((requests ?? 0) > 0) return false;
  // What was in hand for longer when the step began is meant to be.
  return (queued ?? 0) > 0 || agesMs.some((age) => age > patience && age < patience + watchedMs);
}

/** Once the old side gets nothing any more it is held against what waited there before, unless the host is busier. */
function queueOf(trial: Trial, { old, new: is }: BothSides<SideLook>): JudgedSignal {
  const hasTraffic = trial.totals.old.requests > 0;
  const most = hasTraffic ? Math.max(0, ...trial.looks.map((look) => look.old.queued ?? 0)) : trial.mostQueued;
  const enough = is.queued !== undefined && (hasTraffic || !isBusierThanBefore(trial, trial.looks));
  const bad = enough && lasts(trial, (look) => (look.new.queued ?? 0) > WAITING + TIMES_WAITING * most);
  const [before, now] = [queuedText(old), queuedText(is)];
  return row('queue', before, now, `${WAITING + TIMES_WAITING * most} waiting`, bad, enough);
}

function memoryOf({ old, new: is }: BothSides<SideLook>, { memory }: JudgeTerms): JudgedSignal {
  const grown = is.memoryPerMinute;
  const room = is.memoryRoom ?? 0;
  const most = memory === 'infinity' ? Infinity : Math.max(0, old.memoryPerMinute ?? 0) + (memory / 100) * room;
  const bound = most === Infinity || room === 0 ? 'any' : `${formatBytes(Math.round(most))} more a minute`;
  const bad = grown !== undefined && room > 0 && grown > most;
  return row('memory', growthText(old), growthText(is), bound, bad, grown !== undefined);
}

function row(
  signal: JudgedSignal['signal'],
  old: string,
  is: string,
  bound: string,
  bad: boolean,
  enough = true,
): JudgedSignal {
  return { signal, old, new: is, bound, enough, bad };
}

/** At each of the newest looks. */
function lasts({ looks }: Trial, holds: (look: TrialLook) => boolean): boolean {
  return looks.length >= LASTING_LOOKS && looks.every(holds);
}

function shareUnready({ sandboxes, unready }: SideLook): number {
  return sandboxes === 0 ? 0 : unready / sandboxes;
}

function standing({ sandboxes, unready }: SideLook): string {
  return `${unready} of ${sandboxes}`;
}

function handText(look: SideLook): string {
  const [age] = look.agesMs;
  const oldest = age === undefined ? '' : `, the oldest for ${(age / 1000).toFixed(1)} s`;
  return look.inHand === undefined ? 'unknown' : `${look.inHand} in hand${oldest}`;
}

function queuedText({ queued }: SideLook): string {
  return queued === undefined ? 'unknown' : `${queued} waiting`;
}

function growthText({ memoryPerMinute, memoryBytes }: SideLook): string {
  const size = memoryBytes === undefined ? 'unknown' : formatBytes(memoryBytes);
  if (memoryPerMinute === undefined) return size;
  const sign = memoryPerMinute < 0 ? '-' : '+';
  return `${size}, ${sign}${formatBytes(Math.abs(Math.round(memoryPerMinute)))} a minute`;
}
