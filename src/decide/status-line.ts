import type { PluginState } from './plugin-state.ts';
import { learningOne, readyOnes } from './plugin-state.ts';

/** The states a person sees; see `PluginSummary.state` of the control API. */
export type VisibleState = 'stopped' | 'starting' | 'running' | 'degraded' | 'failed' | 'stopping' | 'invalid';

export function visibleState(state: PluginState): VisibleState {
  switch (state.phase) {
    case 'off':
      return 'stopped';
    case 'failed':
      return 'failed';
    case 'stopping':
      return 'stopping';
    case 'loading':
      return 'starting';
    case 'on': {
      const ready = readyOnes(state).length;
      if (state.plan !== undefined && ready >= state.plan.size && state.reason === undefined) return 'running';
      return state.wasReady || ready > 0 ? 'degraded' : 'starting';
    }
  }
}

/** The one line of truth: "2/2 ready, slot a, v1". */
export function statusLine(state: PluginState): string {
  const visible = visibleState(state);
  const reason = state.reason === undefined ? '' : `: ${state.reason.code} ${state.reason.text}`;
  const { refused } = state;
  const note =
    refused === undefined ? '' : `; the declaration as it is now is refused: ${refused.code} ${refused.text}`;
  if (visible === 'stopped') return 'stopped';
  if (visible === 'failed') return `failed${reason}`;
  const size = state.plan?.size ?? 0;
  const counts = `${readyOnes(state).length}/${size} ready`;
  const version = state.plan?.version === undefined ? '' : `, ${state.plan.version}`;
  const word = visible === 'running' ? '' : `, ${visible}`;
  const learning = learningOne(state) === undefined ? '' : ', 1 more learns';
  return `${counts}, slot ${state.slot}${version}${learning}${word}${reason}${note}`;
}
