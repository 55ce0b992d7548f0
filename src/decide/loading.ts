import type { Draft } from './draft.ts';
import type { Observation, Reason } from './observation.ts';
import { living } from './plugin-state.ts';
import { fail } from './quarantine.ts';
import { upgradeByReload } from './upgrade-ask.ts';
import { weighing } from './upgrade-course.ts';
import { isSame } from './upgrade-end.ts';

/**
 * The declaration was read. At a start it holds; what runs comes to another one by an upgrade, but for what can be changed
 * on it as it runs.
 */
export function declared(draft: Draft, seen: Extract<Observation, { kind: 'declared' }>): void {
  const { plan, failed = [] } = seen;
  const { phase, plan: live, previous, failedPlans, upgrade } = draft.state;
  // There was a boot since they failed.
  if (failedPlans.length === 0 && failed.length > 0) draft.set({ failedPlans: failed });
  // It is read again when that is over.
  if (upgrade !== undefined) return;
  draft.set({ declared: seen.declared, reloading: false, reason: undefined, refused: undefined });
  const runs = live !== undefined && phase === 'on' && living(draft.state).length > 0;
  if (runs && !isSame(live, plan)) return upgradeByReload(draft, plan);
  draft.set({ plan, previous: previous !== undefined && isSame(previous, plan) ? undefined : previous });
  if (phase === 'loading' || phase === 'on') draft.order({ kind: 'listen' });
}

/** The sockets are there, so that there may be sandboxes. */
export function listening(draft: Draft): void {
  if (draft.state.phase !== 'loading') return;
  draft.set({ phase: 'on' });
  const { upgrade, reloading } = draft.state;
  // Whatever the shares of both slots are, as after a start of the supervisor.
  if (upgrade === undefined || upgrade.weighed) draft.order(weighing(draft.state));
  if (reloading && upgrade === undefined) draft.order({ kind: 'load' });
}

/** Declaration or sockets cannot be used: what runs goes on as it is; with nothing running the plugin fails. */
export function unusable(draft: Draft, reason: Reason): void {
  if (draft.state.phase !== 'loading' && draft.state.phase !== 'on') return;
  draft.set({ reloading: false });
  draft.note('declaration', undefined, reason.code, reason.text);
  if (living(draft.state).length > 0) draft.set({ phase: 'on', refused: reason });
  else fail(draft, reason);
}

/** Somebody asked to apply the declaration as it is now. */
export function reload(draft: Draft): void {
  if (draft.state.phase !== 'on') return;
  draft.set({ reloading: true });
  // What is under way comes to its end first.
  if (draft.state.upgrade === undefined) draft.order({ kind: 'load' });
}
