import { type Judgement, type JudgeTerms, judgeTrial } from '../../../src/diagnose/judge.ts';
import {
  type BothSides,
  beginTrial,
  type HostUse,
  NO_ANSWERS,
  nextTrial,
  type SideLook,
  type Trial,
  withLook,
} from '../../../src/diagnose/trial.ts';

/** What a declaration that says nothing has. */
export const TERMS: JudgeTerms = { samples: 50, errors: 1, latency: 50, memory: 20, deaths: 0 };

export const IDLE: SideLook = {
  sandboxes: 2,
  unready: 0,
  deaths: 0,
  ill: 0,
  restarts: 0,
  requests: 0,
  errors: 0,
  durations: [],
  inHand: 0,
  agesMs: [],
  queued: 0,
  memoryBytes: 100 * 1024 ** 2,
  memoryPerMinute: undefined,
  memoryRoom: 512 * 1024 ** 2,
  source: 'activity',
};

/** A second of two processors, of which others than the plugin use this share. */
export function used(share: number): HostUse {
  return { othersMs: 2000 * share, ofMs: 2000 };
}

/** How a side answers: its share of bad answers, and how long one takes. */
export interface Conduct {
  readonly errors: number;
  readonly duration: (random: () => number, at: number) => number;
}

/** Long tails, as times of answers have them: half of them above the median, one of twenty above 2.3 times it. */
export function lognormal(medianMs: number, spread = 0.5): Conduct['duration'] {
  return (random) => medianMs * Math.exp(spread * normal(random));
}

/** Numbers that look like chance and are the same each time (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** How many come when so many are expected (Poisson). */
export function arrivals(expected: number, random: () => number): number {
  if (expected > 50) return Math.max(0, Math.round(expected + Math.sqrt(expected) * normal(random)));
  let [count, left] = [0, Math.exp(-expected)];
  for (let product = random(); product > left; product *= random()) count += 1;
  return count;
}

/** What a side did with so many requests. A page keeps 120 durations. */
export function second(conduct: Conduct, requests: number, random: () => number, at: number): SideLook {
  let errors = 0;
  const durations: number[] = [];
  for (let index = 0; index < requests; index++) {
    if (random() < conduct.errors) errors += 1;
    else if (durations.length < 120) durations.push(conduct.duration(random, at));
  }
  return { ...IDLE, requests, errors, durations };
}

export interface Step {
  readonly weight: number;
  readonly bakeMs: number;
  readonly perSecond: number;
  /** Seconds from one look to the next. */
  readonly every?: number;
  /** What others use of the host's processors. */
  readonly others?: number;
}

/** A step, watched each second until it is over or something is bad. */
export function bake(
  sides: BothSides<Conduct>,
  { weight, bakeMs, perSecond, every = 1, others = 0.2 }: Step,
  random: () => number,
  before: Trial | undefined,
  terms = TERMS,
): { readonly judgement: Judgement; readonly trial: Trial; readonly requests: number } {
  let trial = before === undefined ? beginTrial(0, NO_ANSWERS) : nextTrial(0, before);
  let requests = 0;
  let judgement = judgeTrial(trial, terms, bakeMs);
  for (let at = 1000 * every; at <= bakeMs; at += 1000 * every) {
    const ofNew = arrivals((every * perSecond * weight) / 100, random);
    requests += ofNew;
    const look = {
      at,
      host: used(others),
      old: second(sides.old, arrivals((every * perSecond * (100 - weight)) / 100, random), random, at),
      new: second(sides.new, ofNew, random, at),
    };
    trial = withLook(trial, look, terms.samples);
    judgement = judgeTrial(trial, terms, bakeMs);
    if (judgement.verdict === 'bad') break;
  }
  return { judgement, trial, requests };
}

/** A whole upgrade with default steps: what blamed the new side, if anything did, and how many requests it had by then. */
export function upgrade(
  sides: BothSides<Conduct>,
  perSecond: number,
  random: () => number,
  every = 1,
): { readonly blamed: string | undefined; readonly requests: number } {
  let before: Trial | undefined;
  let requests = 0;
  for (const weight of [5, 25, 100]) {
    const baked = bake(sides, { weight, bakeMs: 10_000, perSecond, every }, random, before);
    requests += baked.requests;
    if (baked.judgement.verdict === 'bad') return { blamed: baked.judgement.reason?.text, requests };
    before = baked.trial;
  }
  return { blamed: undefined, requests };
}
