import type { Draft } from './draft.ts';
import type { Observation, Reason } from './observation.ts';
import { living } from './plugin-state.ts';
import type { Upgrade } from './upgrade.ts';
import { enter, insist, noAnswer, retryIn, setUpgrade } from './upgrade-course.ts';
import { over, undo } from './upgrade-end.ts';

const SWITCH_MS = 30_000;
const SWITCH_TIMES = 3;
const SWITCH_AGAIN_MS = 1000;
/** Payloads were told by then, if the supervisor lives. */
const TOLD_MS = 1000;

/** What runs gets another directory. */
export function switching(draft: Draft, { id, to }: Upgrade): void {
  const { slot } = draft.state;
  const isAsked = insist(draft, [{ kind: 'switch', id, slot, version: to }], SWITCH_MS, SWITCH_TIMES);
  if (!isAsked) undo(draft, noAnswer('the switch of its directory', SWITCH_MS));
}

/** It has the directory that it had before; there is no other way to end this. */
export function switchingBack(draft: Draft, { id, from, ending, stageSince = 0 }: Upgrade): void {
  const { slot } = draft.state;
  if (ending) {
    // Until then a new supervisor tells of it again.
    const told = stageSince + TOLD_MS;
    return draft.moment.now < told ? draft.wakeBy(told) : over(draft);
  }
  insist(draft, [{ kind: 'switch', id, slot, version: from }], SWITCH_MS, Number.POSITIVE_INFINITY);
}

export function switched(draft: Draft, { id, version }: Extract<Observation, { kind: 'switched' }>): void {
  const { upgrade } = draft.state;
  if (upgrade?.id !== id) return;
  const isThere = upgrade.step === 'switching' && version === upgrade.to;
  const isBack = upgrade.step === 'undoing' && version === upgrade.from;
  if (!isThere && !isBack) return;
  signal(draft, upgrade);
  // What starts yet may have read of both, and cannot be told: its handler may not be there.
  for (const sandbox of living(draft.state)) if (sandbox.life === 'starting') draft.put({ ...sandbox, renewing: true });
  if (isBack) return setUpgrade(draft, { ending: true, stageSince: draft.moment.now });
  draft.note('weighed', undefined, undefined, 'all of it has the new directory', { upgrade: id });
  enter(draft, 'baking', { stageSince: draft.moment.now, weight: 100, signals: undefined });
}

/** A new supervisor cannot know whether the one before it came to tell the payloads. */
export function signalAgain(draft: Draft, upgrade: Upgrade): void {
  const { step, ending } = upgrade;
  if (step === 'baking' || step === 'committing' || (step === 'undoing' && ending)) signal(draft, upgrade);
}

function signal(draft: Draft, { plan }: Upgrade): void {
  if (plan === undefined) return;
  const { signal: name } = plan.declaration.upgrade;
  // One that starts may have loaded the old version already; its init keeps the signal until it is ready.
  for (const { unit, life } of living(draft.state)) {
    if (life === 'starting' || life === 'ready') draft.order({ kind: 'signal', unit, signal: name });
  }
}

export function notSwitched(draft: Draft, id: string, reason: Reason): void {
  const { upgrade } = draft.state;
  if (upgrade?.id !== id || (upgrade.step !== 'switching' && upgrade.step !== 'undoing')) return;
  if (upgrade.step === 'switching' && upgrade.tries >= SWITCH_TIMES) return undo(draft, reason);
  retryIn(draft, SWITCH_AGAIN_MS, SWITCH_MS);
}

/** All sandboxes are of the new version: what dies of it is recovered as ever, and counted. */
export function diedInPlace(draft: Draft, text: string): void {
  const { upgrade } = draft.state;
  if (upgrade?.way !== 'in-place' || upgrade.undo !== undefined) return;
  if (upgrade.step !== 'switching' && upgrade.step !== 'baking' && upgrade.step !== 'committing') return;
  const deaths = upgrade.deaths + 1;
  setUpgrade(draft, { deaths });
  if (deaths > (upgrade.plan?.declaration.upgrade.judge.deaths ?? 0)) undo(draft, { code: 'BH321', text });
}
