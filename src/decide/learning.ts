import { formatDuration } from '../base/duration.ts';
import type { Draft } from './draft.ts';
import { start } from './keep-pool.ts';
import { learningOne } from './plugin-state.ts';

/** One more sandbox is started, beside the pool, in which all calls are noted. */
export function learn(draft: Draft, forMs: number): void {
  if (draft.state.phase !== 'on' || learningOne(draft.state) !== undefined) return;
  start(draft, draft.state, { learning: true });
  const unit = learningOne(draft.state)?.unit;
  draft.note('learning', unit, undefined, `notes all that its payload calls, for ${formatDuration(forMs)}`);
}

export function stopLearning(draft: Draft, unit: string | undefined): void {
  const sandbox = learningOne(draft.state);
  if (sandbox !== undefined && sandbox.unit === unit) draft.stop(sandbox);
}
