import type { Draft } from './draft.ts';
import { stopLearning } from './learning.ts';
import { learningOne } from './plugin-state.ts';
import { endAll } from './quarantine.ts';
import { stopTimeout } from './sides.ts';
import { resumeUpgrade } from './upgrade-drive.ts';
import { recordLive } from './upgrade-end.ts';

/** A new supervisor goes on where the one before it stopped: what it may not have done any more is ordered again. */
export function resumed(draft: Draft): void {
  const { phase, plan, reason, sandboxes, open, running, upgrade, lastUpgrade } = draft.state;
  for (const { incident } of open) draft.order({ kind: 'incident', incident });
  for (const order of running) draft.order({ kind: 'run', ...order });
  for (const { unit, life, doomed, gate, slot } of sandboxes.values()) {
    if (life === 'stopping' && doomed) draft.order({ kind: 'kill', unit });
    else if (life === 'stopping') draft.order({ kind: 'stop', unit, timeoutMs: stopTimeout(draft.state, slot) });
    if (life === 'dead' || life === 'fenced') draft.order({ kind: 'clear', unit });
    if (life === 'frozen') draft.order({ kind: 'freeze', unit });
    if (life === 'ready' && gate !== undefined) draft.order({ kind: 'gate', unit, gate });
  }
  // Whoever wanted to know is gone with the supervisor before.
  stopLearning(draft, learningOne(draft.state)?.unit);
  resumeUpgrade(draft);
  if (upgrade === undefined && lastUpgrade?.live !== undefined) recordLive(draft, lastUpgrade.live);
  if ((phase === 'on' || phase === 'loading') && plan !== undefined) {
    // Nothing is started before the sockets are known to be there.
    draft.set({ phase: 'loading' });
    draft.order({ kind: 'listen' });
  } else if (phase === 'loading' || phase === 'on') draft.order({ kind: 'load' });
  else if (phase === 'stopping' || phase === 'failed') endAll(draft);
  // The one before may have died between deciding and telling.
  if (phase === 'failed' && reason !== undefined) draft.tell({ word: 'failed', reason });
}
