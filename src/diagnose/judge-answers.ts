import type { JudgedSignal, JudgeTerms } from './judge.ts';
import { type Count, chanceOf, quantileOf, rankDistance, shareAtMost } from './statistics.ts';
import { type Answers, answersIn, comparable, isBusierThanBefore, type Stretch, type Trial } from './trial.ts';

/**
 * What chance may do once, as a probability and in standard deviations. Less is borne the more often there is something
 * new to judge.
 */
const CHANCE = 0.0001;
const CHANCE_Z = 3.72;
/** And in what remains when it is looked whether something goes on. */
const LASTING_CHANCE = 0.01;
const LASTING_Z = 2.33;
const ANEW_EVERY_MS = 60_000;
/** The old side's share is known no better than this (z of 95 %). */
const KNOWN_Z = 1.64;
/** Fewer requests blame nobody, however they ended. */
const LEAST_REQUESTS = 10;
/** As long as more than this share of bad answers may not have shown, nothing is said of them. */
const ENOUGH = 0.1;
/** Durations that have an order worth speaking of, and such as have a twentieth that is longest. */
const LEAST_DURATIONS = 20;
const LEAST_FOR_TAIL = 60;
/** What is slower by less (ms) is not slower: next to nothing is easily doubled. */
const NOTHING_MS = 1;
/** Points of percent by which there may be more slow requests: longer than a twentieth of the old side's. */
const TAIL = 0.95;
const TAIL_POINTS = 2;
/** Stretches of time without which it has to show, too: what happened once was the host, or a collection of garbage. */
const ONCE_BAD = 1;
const ONCE_SLOW = 2;
/** Of a program that says nothing it is believed that it answers no more than this share badly. */
const BELIEVED = 0.5;

interface Compared {
  readonly old: Answers;
  readonly new: Answers;
  /** Of the new side, each; and of those, the ones in which its times can be held against the old side's. */
  readonly stretches: readonly Answers[];
  readonly timed: readonly Answers[];
  readonly meanwhile: boolean;
  /** Whether the new side says which answers were bad. */
  readonly told: boolean;
  /** How often there is something new to judge. */
  readonly times: number;
}

/** What both sides answered, and how fast. */
export function judgeAnswers(trial: Trial, terms: JudgeTerms, bakeMs: number): readonly JudgedSignal[] {
  const { answers, meanwhile } = comparable(trial, terms.samples);
  const times = Math.max(1, bakeMs / ANEW_EVERY_MS);
  const compared = {
    old: answers,
    new: answersIn(trial, 'new'),
    stretches: newIn(trial.stretches),
    // What went on before is no measure of times when the host has more to do than it had then.
    timed: newIn(
      meanwhile ? trial.stretches : trial.stretches.filter((stretch) => !isBusierThanBefore(trial, [stretch])),
    ),
    meanwhile,
    told: trial.looks.at(-1)?.new.errors !== undefined,
    times,
  };
  return [errorsOf(compared, terms), latencyOf(compared, terms), tailOf(compared, terms)];
}

function newIn(stretches: readonly Stretch[]): readonly Answers[] {
  return stretches.map((stretch) => stretch.new).filter(({ requests }) => requests > 0);
}

function errorsOf(compared: Compared, { errors }: JudgeTerms): JudgedSignal {
  const { old, new: is, stretches, meanwhile, told, times } = compared;
  const [ofOld, ofNew] = [countOf(old), told ? countOf(is) : { of: 0, count: 0 }];
  const points = errors === 'infinity' ? 1 : errors / 100;
  const known = ofOld.of === 0 ? BELIEVED : shareAtMost(ofOld, KNOWN_Z);
  const lasting = sumOf(without(stretches, ONCE_BAD, (stretch) => stretch.errors).map(countOf));
  const tooMany =
    chanceOf(ofNew, known + points) < CHANCE / times && chanceOf(lasting, known + points) < LASTING_CHANCE;
  return {
    signal: 'errors',
    old: shareText(ofOld, meanwhile),
    new: shareText(ofNew),
    bound: errors === 'infinity' ? 'any' : `${errors} points more`,
    // If it were none of so many, that would say that there are hardly more than are borne.
    enough: shareAtMost({ of: ofNew.of, count: 0 }, KNOWN_Z) <= Math.max(ENOUGH, 2 * points),
    bad: errors !== 'infinity' && ofNew.of >= LEAST_REQUESTS && tooMany,
  };
}

/** Of the order of all durations, once those of the old side are made as much longer as is borne. */
function latencyOf(compared: Compared, { latency }: JudgeTerms): JudgedSignal {
  const { old, new: is, timed, meanwhile, times } = compared;
  const row = {
    signal: 'latency',
    old: `${timeText(old, 0.5, meanwhile)}${sparedText(compared)}`,
    new: timeText(is, 0.5),
    bound: latency === 'infinity' ? 'any' : `${borne(latency, meanwhile)} % longer`,
  } as const;
  const all = timed.flatMap((stretch) => stretch.durations);
  const enough = old.durations.length >= LEAST_DURATIONS && all.length >= LEAST_DURATIONS;
  if (latency === 'infinity' || !enough) return { ...row, enough, bad: false };
  const stretched = (duration: number): number => duration * (1 + borne(latency, meanwhile) / 100) + NOTHING_MS;
  // Bonferroni's correction, as the tail of a normal distribution has it.
  const z = Math.sqrt(CHANCE_Z ** 2 + 2 * Math.log(times));
  const lasting = without(timed, ONCE_SLOW, ({ durations }) => quantileOf(durations, 0.5));
  const durations = lasting.flatMap((stretch) => stretch.durations);
  const most = old.durations.map(stretched);
  return { ...row, enough, bad: rankDistance(all, most) > z && rankDistance(durations, most) > LASTING_Z };
}

/** Slow requests, counted: the order of all of them says nothing of a few that take very long. */
function tailOf(compared: Compared, { latency }: JudgeTerms): JudgedSignal {
  const { old, new: is, timed, meanwhile, times } = compared;
  const row = {
    signal: 'tail',
    old: `${timeText(old, 0.99, meanwhile)}${sparedText(compared)}`,
    new: timeText(is, 0.99),
    bound: latency === 'infinity' ? 'any' : `${TAIL_POINTS} points more of slow ones`,
  } as const;
  const all = timed.flatMap((stretch) => stretch.durations);
  const enough = old.durations.length >= LEAST_FOR_TAIL && all.length >= LEAST_FOR_TAIL;
  if (latency === 'infinity' || !enough) return { ...row, enough, bad: false };
  const slow = quantileOf(old.durations, TAIL) * (1 + borne(latency, meanwhile) / 100) + NOTHING_MS;
  const slowOnes = ({ durations }: Pick<Answers, 'durations'>): Count => ({
    of: durations.length,
    count: durations.filter((duration) => duration > slow).length,
  });
  const lasting = sumOf(without(timed, ONCE_SLOW, (stretch) => slowOnes(stretch).count).map(slowOnes));
  const known = shareAtMost(slowOnes(old), KNOWN_Z) + TAIL_POINTS / 100;
  const hasMore =
    chanceOf(slowOnes({ durations: all }), known) < CHANCE / times && chanceOf(lasting, known) < LASTING_CHANCE;
  return { ...row, enough, bad: hasMore };
}

/** What went on before is no measure of what goes on now: the host may be busier. */
function borne(latency: number, meanwhile: boolean): number {
  return meanwhile ? latency : 100 + 2 * latency;
}

/** All but the worst ones; of few, half of them. */
function without(
  stretches: readonly Answers[],
  most: number,
  badness: (stretch: Answers) => number,
): readonly Answers[] {
  const worst = stretches.map((stretch) => ({ stretch, badness: badness(stretch) }));
  worst.sort((one, other) => other.badness - one.badness);
  return worst.slice(Math.min(most, Math.floor(stretches.length / 2))).map(({ stretch }) => stretch);
}

function sumOf(counts: readonly Count[]): Count {
  return {
    of: counts.reduce((sum, { of }) => sum + of, 0),
    count: counts.reduce((sum, { count }) => sum + count, 0),
  };
}

function countOf({ requests, errors }: Answers): Count {
  return { of: requests, count: errors };
}

function shareText({ of, count }: Count, meanwhile = true): string {
  if (of === 0) return 'unknown';
  return `${((100 * count) / of).toFixed(1)} % of ${of}${meanwhile ? '' : ' before'}`;
}

function timeText({ durations }: Answers, share: number, meanwhile = true): string {
  if (durations.length === 0) return 'unknown';
  const name = share === 0.5 ? 'median' : `p${100 * share}`;
  return `${name} ${milliseconds(quantileOf(durations, share))} of ${durations.length}${meanwhile ? '' : ' before'}`;
}

function sparedText({ stretches, timed }: Compared): string {
  return timed.length < stretches.length ? ', when the host had less to do' : '';
}

function milliseconds(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${ms >= 10 ? Math.round(ms) : ms.toFixed(1)} ms`;
}
