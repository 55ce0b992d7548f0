import type { PluginState } from './plugin-state.ts';
import { inLife, inTraffic, learningOne, readyOnes, standbys } from './plugin-state.ts';
import { livePlan } from './sides.ts';
import { upgradeLine } from './upgrade-line.ts';

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
      const ready = inTraffic(state).length;
      const plan = livePlan(state);
      if (plan !== undefined && ready >= plan.size && state.reason === undefined) return 'running';
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
  if (visible === 'failed') return `failed${state.quarantined ? ', in quarantine' : ''}${reason}`;
  const size = livePlan(state)?.size ?? 0;
  const counts = `${inTraffic(state).length}/${size} ready`;
  const version = state.plan?.version === undefined ? '' : `, ${state.plan.version}`;
  const word = visible === 'running' ? '' : `, ${visible}`;
  const others = beside(state)
    .map((text) => `, ${text}`)
    .join('');
  return `${counts}, slot ${state.slot}${version}${others}${word}${reason}${change(state)}${note}`;
}

/** What is under way, as of the last look at both sides: told once a second at most. */
function change({ upgrade }: PluginState): string {
  if (upgrade === undefined) return '';
  return `; ${upgradeLine(upgrade, upgrade.signals?.at ?? upgrade.stageSince ?? upgrade.stepSince)}`;
}

/** Sandboxes that are there and do not count as ready. */
function beside(state: PluginState): string[] {
  const wanted = state.plan?.declaration.pool.standby ?? 0;
  const spares = standbys(state).filter(({ life }) => life === 'ready').length;
  const count = (number: number, text: string): string[] => (number === 0 ? [] : [`${number} ${text}`]);
  return [
    ...(wanted + spares === 0 ? [] : [`${spares}/${wanted} standby`]),
    ...count(readyOnes(state).length - inTraffic(state).length, 'out of traffic'),
    ...count(inLife(state, 'frozen').length, 'frozen'),
    ...count(inLife(state, 'fenced').length, 'cannot be killed'),
    ...(learningOne(state) === undefined ? [] : ['1 more learns']),
  ];
}
