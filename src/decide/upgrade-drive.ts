import type { Draft } from './draft.ts';
import type { Observation } from './observation.ts';
import { isCommitted, weightsOf } from './sides.ts';
import type { Upgrade } from './upgrade.ts';
import { bake, canary, notWeighed, starting, weighed } from './upgrade-canary.ts';
import { committing } from './upgrade-commit.ts';
import { setUpgrade } from './upgrade-course.ts';
import { endBeside, over, stopBeside } from './upgrade-end.ts';
import { signalAgain, switching, switchingBack } from './upgrade-in-place.ts';
import { planning, preparing, verifying } from './upgrade-plan.ts';

/** Goes on with the upgrade as far as that needs nothing to be waited for. Only of a plugin that is on. */
export function driveUpgrade(draft: Draft): void {
  for (let before: Upgrade | undefined; draft.state.upgrade !== before; ) {
    before = draft.state.upgrade;
    if (before === undefined) break;
    goOn(draft, before);
  }
  // Nothing of a side that no upgrade is about.
  if (draft.state.upgrade === undefined || draft.state.upgrade.way === 'in-place') stopBeside(draft);
}

function goOn(draft: Draft, upgrade: Upgrade): void {
  switch (upgrade.step) {
    case 'planning':
      return planning(draft, upgrade);
    case 'verifying':
      return verifying(draft, upgrade);
    case 'preparing':
      return preparing(draft, upgrade);
    case 'starting':
      return starting(draft, upgrade);
    case 'canary':
      return canary(draft, upgrade);
    case 'switching':
      return switching(draft, upgrade);
    case 'baking':
      return bake(draft, upgrade);
    case 'committing':
      return committing(draft, upgrade);
    case 'draining':
      if (upgrade.way === 'in-place' || endBeside(draft)) over(draft);
      return;
    case 'undoing':
      if (upgrade.way === 'in-place') return switchingBack(draft, upgrade);
      if (endBeside(draft)) over(draft);
      return;
  }
}

/** The answer to a `weigh` order; one that was given for another share is not heard. */
export function sharesSeen(draft: Draft, seen: Extract<Observation, { kind: 'weighed' | 'not-weighed' }>): void {
  const { upgrade, slot } = draft.state;
  if (upgrade === undefined || upgrade.weighed) return;
  if (seen.live !== slot || seen.weight !== weightsOf(draft.state).other) return;
  if (seen.kind === 'weighed') weighed(draft, seen.weight);
  else notWeighed(draft, seen.reason);
}

/**
 * A new supervisor: what the one before it had ordered last is ordered again, and shares are set again, whatever they are.
 * What was watched is watched from the beginning, as the watch knows nothing of before either.
 */
export function resumeUpgrade(draft: Draft): void {
  const { upgrade } = draft.state;
  if (upgrade === undefined) return;
  if (upgrade.way === 'in-place') signalAgain(draft, upgrade);
  const isWatched = upgrade.step === 'canary' || upgrade.step === 'baking';
  setUpgrade(draft, {
    tries: 0,
    triedAt: 0,
    rungSince: draft.moment.now,
    ...(upgrade.way === 'in-place'
      ? {}
      : { weighed: upgrade.weight === 0 && !isCommitted(draft.state) && !wasMoved(upgrade) }),
    ...(isWatched ? { stageSince: upgrade.way === 'in-place' ? draft.moment.now : undefined, signals: undefined } : {}),
  });
}

/** Whether shares may be others than those before it. */
function wasMoved({ step }: Upgrade): boolean {
  return step === 'canary' || step === 'committing' || step === 'undoing' || step === 'draining';
}
