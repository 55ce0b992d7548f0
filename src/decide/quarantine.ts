import type { Draft } from './draft.ts';
import { closeByHand } from './incidents.ts';
import type { Reason } from './observation.ts';
import { inLife, isEmpty, living } from './plugin-state.ts';
import { abort } from './upgrade-end.ts';

/** What is known of earlier failures is forgotten: somebody has started the plugin, or let it out. */
export const FORGIVEN = {
  deathsInRow: 0,
  deaths: [],
  notBefore: 0,
  chains: [],
  crashes: [],
  restarts: [],
  healing: undefined,
  quarantined: false,
} as const;

/** Given up, with a reason, until somebody starts the plugin again. */
export function fail(draft: Draft, reason: Reason): void {
  draft.note('failed', undefined, reason.code, reason.text);
  draft.set({ phase: 'failed', reason });
  abort(draft, reason);
  endAll(draft);
  draft.order({ kind: 'unlisten' });
  draft.tell({ word: 'failed', reason });
}

/** The same, because the steps against a failure are used up: loud, and nothing but a person ends it. */
export function quarantine(draft: Draft, reason: Reason): void {
  // What else was to be done comes to nothing.
  draft.deeds.splice(0, draft.deeds.length, 'quarantine');
  draft.note('quarantined', undefined, reason.code, `in quarantine until it is released: ${reason.text}`);
  draft.set({ quarantined: true });
  fail(draft, reason);
}

/** Asks all that lives to stop. What is frozen cannot be asked. */
export function endAll(draft: Draft): void {
  for (const sandbox of living(draft.state)) draft.stop(sandbox);
  for (const sandbox of inLife(draft.state, 'frozen')) draft.kill(sandbox);
}

/**
 * Somebody lets the plugin out. In quarantine it is stopped then, and can be started; one that runs forgets what it knew
 * of its failures, and gives up what it kept frozen.
 */
export function release(draft: Draft, by: string): void {
  draft.note('released', undefined, undefined, `released by ${by}`);
  closeByHand(draft, `released by ${by}`);
  draft.set(FORGIVEN);
  if (draft.state.phase === 'failed')
    draft.set({ phase: isEmpty(draft.state) ? 'off' : 'stopping', reason: undefined });
  else for (const sandbox of inLife(draft.state, 'frozen')) draft.kill(sandbox);
}
