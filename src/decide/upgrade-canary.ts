import { formatDuration } from '../base/duration.ts';
import type { Draft } from './draft.ts';
import { isNewSideReady, keepNewSide } from './new-side.ts';
import type { Observation, Reason } from './observation.ts';
import { ladderOf } from './sides.ts';
import type { Upgrade } from './upgrade.ts';
import { enter, insist, noAnswer, retryIn, setUpgrade, weighing } from './upgrade-course.ts';
import { undo } from './upgrade-end.ts';
import { undoAsJudged } from './upgrade-judged.ts';
import { nextRung } from './upgrade-ladder.ts';

const WEIGH_MS = 5000;
const WEIGH_TIMES = 5;
const WEIGH_AGAIN_MS = 500;
/**
 * In heartbeats: a judgement that is older says nothing of now, nor does one of a watch that began so much later than the
 * stage; one that does not come is waited for.
 */
const SIGHT_BEATS = 3;
const LATE_BEATS = 2;
const SIGHTLESS_BEATS = 10;

/** The new side starts, without traffic. */
export function starting(draft: Draft, upgrade: Upgrade): void {
  keepNewSide(draft, upgrade);
  if (draft.state.upgrade === upgrade || draft.state.upgrade?.step === 'starting') climb(draft);
}

/** The new side has a part of the traffic. */
export function canary(draft: Draft, upgrade: Upgrade): void {
  keepNewSide(draft, upgrade);
  if (!upgrade.weighed) {
    if (!insist(draft, [weighing(draft.state)], WEIGH_MS, WEIGH_TIMES))
      undo(draft, noAnswer('changing the weights', WEIGH_MS));
    return;
  }
  if (upgrade.weight < (upgrade.stages[upgrade.stage] ?? 100)) return climb(draft);
  bake(draft, upgrade);
}

/** As soon as the new side can bear more it gets more. */
function climb(draft: Draft): void {
  const { upgrade } = draft.state;
  if (upgrade === undefined || !isNewSideReady(draft, upgrade)) return;
  const { weight } = upgrade.rung;
  const change = { weight, weighed: false, stageSince: undefined, signals: undefined };
  if (upgrade.step === 'starting') enter(draft, 'canary', change);
  else setUpgrade(draft, { ...change, tries: 0, triedAt: 0 });
}

/** So much of the traffic goes where it is to go. */
export function weighed(draft: Draft, weight: number): void {
  const { upgrade, plan, slot } = draft.state;
  if (upgrade === undefined) return;
  const { now } = draft.moment;
  const { id } = upgrade;
  if (weight > 0) draft.note('weighed', undefined, undefined, `${weight} % of the new connections`, { upgrade: id });
  else draft.note('weighed', undefined, undefined, `slot ${slot} has all new connections`, { upgrade: id });
  setUpgrade(draft, { weighed: true, stageSince: now, tries: 0, triedAt: 0 });
  const goal = upgrade.stages[upgrade.stage] ?? 100;
  if (upgrade.step === 'canary' && weight < goal)
    setUpgrade(draft, { rung: nextRung(ladderOf(plan, upgrade.plan), weight, goal), rungSince: now });
}

export function notWeighed(draft: Draft, reason: Reason): void {
  const { upgrade } = draft.state;
  // That there is no other way back than to end the new side is seen to there.
  if (upgrade?.step === 'canary' && upgrade.tries >= WEIGH_TIMES) return undo(draft, reason);
  retryIn(draft, WEIGH_AGAIN_MS, WEIGH_MS);
}

/** Watched for its time, and judged at the end of it; what is bad is undone as soon as it is seen. */
export function bake(draft: Draft, upgrade: Upgrade): void {
  const { now } = draft.moment;
  const { bakeMs, stageSince = now, kind, signals, plan } = upgrade;
  const isWatched = kind !== 'rollback';
  if (isWatched && now < stageSince + bakeMs) return draft.wakeBy(stageSince + bakeMs);
  const beatMs = Math.max(1000, plan?.declaration.health.heartbeatMs ?? 0);
  const isFresh =
    signals !== undefined &&
    now - signals.at <= SIGHT_BEATS * beatMs &&
    signals.judgement.watchedMs >= bakeMs - LATE_BEATS * beatMs;
  const sightless = stageSince + bakeMs + SIGHTLESS_BEATS * beatMs;
  if (isWatched && !isFresh && now < sightless) return draft.wakeBy(sightless);
  if (!isWatched || (isFresh && signals.judgement.verdict === 'good')) return goOn(draft, upgrade);
  const { few, waitMostMs } = plan?.declaration.upgrade.judge ?? { few: 'rollback', waitMostMs: 0 };
  if (few === 'promote') return goOn(draft, upgrade);
  const until = stageSince + bakeMs + waitMostMs;
  if (few === 'wait' && now < until) return draft.wakeBy(Math.min(until, now + beatMs));
  const seen = signals?.judgement.reason?.text ?? 'nothing was seen of it';
  undoAsJudged(draft, upgrade, 'not-judged', {
    code: 'BH323',
    text: `not enough to judge by after ${formatDuration(Math.round(now - stageSince))}: ${seen}`,
  });
}

/** The stage is over, and nothing speaks against the next one. */
function goOn(draft: Draft, { stages, stage, weight, plan }: Upgrade): void {
  const goal = stages[stage + 1];
  if (goal === undefined) return enter(draft, 'committing');
  const rung = nextRung(ladderOf(draft.state.plan, plan), weight, goal);
  setUpgrade(draft, { stage: stage + 1, rung, rungSince: draft.moment.now });
}

/** What both sides did in the same time. */
export function signalled(draft: Draft, seen: Extract<Observation, { kind: 'signals' }>): void {
  const { upgrade } = draft.state;
  if (upgrade?.id !== seen.id || !isJudged(upgrade)) return;
  const { old, new: after, judgement } = seen;
  const signals = { old, new: after, judgement, at: draft.moment.now };
  setUpgrade(draft, { signals });
  const { reason, verdict } = judgement;
  if (verdict === 'bad' && upgrade.kind !== 'rollback') {
    const text = reason?.text ?? 'it is worse than the old side';
    undoAsJudged(draft, { ...upgrade, signals }, 'judged', { code: 'BH322', text });
  }
}

function isJudged({ step, weighed: isWeighed }: Upgrade): boolean {
  return step === 'baking' || (isWeighed && (step === 'canary' || step === 'committing'));
}
