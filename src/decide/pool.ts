import type { PluginPlan } from '../plan/plan.ts';
import type { PluginState, SandboxEntry } from './plugin-state.ts';
import { readyOnes, serving } from './plugin-state.ts';

/** How the pool differs from the plan. */
export interface PoolDifference {
  /** Sandboxes to start; not more than there is room for. */
  readonly missing: number;
  /** The one that is to go, now that enough are ready without it. */
  readonly surplus: SandboxEntry | undefined;
  /** Ready ones that are as planned but for limits that can be set on them. One that starts yet gets them later. */
  readonly otherLimits: readonly SandboxEntry[];
}

/** Outdated sandboxes (after a reload) are replaced one at a time, the new one first. */
export function poolDifference(state: PluginState, plan: PluginPlan): PoolDifference {
  const alive = serving(state);
  const isCurrent = ({ digest, unlimitable }: SandboxEntry) => digest === plan.digest && !unlimitable;
  const current = alive.filter(isCurrent);
  const outdated = alive.filter((sandbox) => !isCurrent(sandbox));
  const room = plan.size + (outdated.length > 0 ? 1 : 0) - alive.length;
  const tooMany = readyOnes(state).length > plan.size;
  return {
    missing: Math.min(plan.size - current.length, room),
    surplus: tooMany ? (outdated[0] ?? current[plan.size]) : undefined,
    otherLimits: current.filter(
      ({ life, limits, limiting }) => life === 'ready' && (limiting ?? limits) !== plan.limitsDigest,
    ),
  };
}

/** When the youngest ready sandbox will have been healthy for long enough to clear the back-off. */
export function nextReset(state: PluginState, now: number): number | undefined {
  if (state.deathsInRow === 0) return undefined;
  const reset = state.plan?.declaration.recovery.backoff.resetMs ?? 0;
  const youngest = Math.max(...readyOnes(state).map(({ readyAt }) => readyAt ?? 0));
  return youngest + reset > now && Number.isFinite(youngest) ? youngest + reset : undefined;
}
