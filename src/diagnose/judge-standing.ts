import { formatBytes } from '../base/bytes.ts';
import type { JudgedSignal, JudgeTerms } from './judge.ts';
import { quantileOf } from './statistics.ts';
import { type BothSides, comparable, LASTING_LOOKS, type SideLook, type Trial, type TrialLook } from './trial.ts';

/** Connections that may always wait, and how many times those of the old side. */
const WAITING = 8;
const TIMES_WAITING = 4;
/** A request that is in hand this many times longer than the slowest of the old side, and by this much (ms), is stuck. */
const TIMES_SLOWEST = 3;
const STUCK_MS = 1000;

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

/** It has work, and nothing comes of it, for longer than the old side ever took. */
function stalledOf(trial: Trial, last: BothSides<SideLook>, { samples }: JudgeTerms): JudgedSignal {
  const patience = patienceOf(trial, samples);
  const watched = (trial.looks.at(-1)?.at ?? 0) - (trial.looks[0]?.at ?? 0);
  const bad = lasts(trial, ({ old, new: is }) => {
    if (is.requests !== 0) return false;
    const nobodyTakes = (is.queued ?? 0) > (old.queued ?? 0) && watched > patience;
    return nobodyTakes || (is.oldestMs ?? 0) > patience;
  });
  const bound = patience === Infinity ? 'any' : `an answer within ${(patience / 1000).toFixed(1)} s`;
  return row('stalled', handText(last.old), handText(last.new), bound, bad, patience !== Infinity);
}

/** How long (ms) an answer may take. */
function patienceOf(trial: Trial, samples: number): number {
  const { durations } = comparable(trial, samples).answers;
  if (durations.length > 0) return TIMES_SLOWEST * quantileOf(durations, 1) + STUCK_MS;
  return lasts(trial, ({ old }) => (old.requests ?? 0) > 0) ? STUCK_MS : Infinity;
}

function queueOf(trial: Trial, { old, new: is }: BothSides<SideLook>): JudgedSignal {
  const most = Math.max(0, ...trial.looks.map((look) => look.old.queued ?? 0));
  const bad = lasts(trial, (look) => (look.new.queued ?? 0) > WAITING + TIMES_WAITING * most);
  const [before, now] = [queuedText(old), queuedText(is)];
  return row('queue', before, now, `${WAITING + TIMES_WAITING * most} waiting`, bad, is.queued !== undefined);
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
  const oldest = look.oldestMs === undefined ? '' : `, the oldest for ${(look.oldestMs / 1000).toFixed(1)} s`;
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
