import type { Draft } from './draft.ts';
import { keepNewSide } from './new-side.ts';
import type { Reason } from './observation.ts';
import { FORGIVEN } from './quarantine.ts';
import type { Upgrade } from './upgrade.ts';
import { enter, insist, noAnswer, retryIn } from './upgrade-course.ts';
import { isSame, noteOutcome, undo } from './upgrade-end.ts';
import { wayOf } from './upgrade-line.ts';

const COMMIT_MS = 10_000;
const COMMIT_TIMES = 3;
const COMMIT_AGAIN_MS = 1000;

/** That the new side is the live one is made durable before it is taken for that. */
export function committing(draft: Draft, upgrade: Upgrade): void {
  const { id, by, to, declared, way } = upgrade;
  if (way === 'beside') keepNewSide(draft, upgrade);
  if (draft.state.upgrade?.step !== 'committing') return;
  const previous = canComeBack(upgrade) ? upgrade.from : undefined;
  const isAsked = insist(draft, [{ kind: 'commit', id, by, version: to, previous, declared }], COMMIT_MS, COMMIT_TIMES);
  if (!isAsked) undo(draft, noAnswer('the record of versions', COMMIT_MS));
}

/** What somebody went back from is nothing to go back to, nor is what is not what it was. */
function canComeBack({ kind, noWayBack }: Upgrade): boolean {
  return kind !== 'rollback' && noWayBack === undefined;
}

export function notCommitted(draft: Draft, id: string, reason: Reason): void {
  const { upgrade } = draft.state;
  if (upgrade?.id !== id || upgrade.step !== 'committing') return;
  if (upgrade.tries >= COMMIT_TIMES) return undo(draft, reason);
  retryIn(draft, COMMIT_AGAIN_MS, COMMIT_MS);
}

/** The sides change places: the new one is the plugin, with its own failures before it, and the old one goes. */
export function committed(draft: Draft, id: string): void {
  const { upgrade, plan: old, failedPlans } = draft.state;
  if (upgrade?.id !== id || upgrade.step !== 'committing' || upgrade.plan === undefined) return;
  const { plan, slot, kind, to, declared } = upgrade;
  const previous = canComeBack(upgrade) ? old?.version : undefined;
  noteOutcome(draft, upgrade, 'promoted', undefined, { version: to, previous, declared });
  draft.set({
    ...FORGIVEN,
    plan,
    slot,
    previous: upgrade.noWayBack === undefined ? old : undefined,
    reason: undefined,
    refused: undefined,
    failedPlans: failedPlans.filter((failed) => !isSame(failed, plan)),
  });
  enter(draft, 'draining', { plan: undefined, weighed: false, stageSince: undefined, ending: false });
  const kept = kind === 'rollback' ? 'rolled back' : 'promoted';
  draft.note(kind === 'rollback' ? 'rolled-back' : 'upgraded', undefined, undefined, `${wayOf(upgrade)}: ${kept}`, {
    upgrade: id,
  });
}
