import type { PluginPlan } from '../plan/plan.ts';
import type { PluginState, SandboxEntry } from './plugin-state.ts';
import { inLife, readyOnes, serving, standbys } from './plugin-state.ts';

/** How the pool differs from the plan. */
export interface PoolDifference {
  /** Serving sandboxes that are to be had, by promotion or by a start; not more than there is room for. */
  readonly missing: number;
  /** Standbys to start. */
  readonly spares: number;
  /** Those that are to go, now that enough are ready without them. */
  readonly surplus: readonly SandboxEntry[];
  /** Ready ones that are as planned but for limits that can be set on them. One that starts yet gets them later. */
  readonly otherLimits: readonly SandboxEntry[];
}

/** Outdated sandboxes (after a reload) are replaced one at a time, the new one first; standbys once all that serve are. */
export function poolDifference(state: PluginState, plan: PluginPlan): PoolDifference {
  const { standby } = plan.declaration.pool;
  const unreplaced = inLife(state, 'fenced').filter((one) => one.unreplaced && one.slot === state.slot).length;
  const pool = group(serving(state), plan, plan.size - unreplaced, standbys(state).length <= standby);
  const spare = group(standbys(state), plan, standby, pool.outdated.length === 0);
  const enough = readyOnes(state).length > plan.size;
  const spareReady = standbys(state).filter(({ life }) => life === 'ready').length > standby;
  const surplus = [
    ...(enough ? [pool.outdated[0] ?? bySeat(pool.current)[plan.size]] : []),
    ...(spareReady ? [spare.outdated[0] ?? spare.current[standby]] : []),
  ];
  // There may be one more than declared, whatever is replaced and promoted at the same time.
  const room = plan.size + standby + 1 - serving(state).length - standbys(state).length - pool.missing;
  return {
    missing: pool.missing,
    spares: Math.max(0, Math.min(spare.missing, room)),
    surplus: surplus.filter((sandbox) => sandbox !== undefined),
    otherLimits: [...pool.current, ...spare.current].filter(
      ({ life, limits, limiting }) => life === 'ready' && (limiting ?? limits) !== plan.limitsDigest,
    ),
  };
}

export function isCurrent({ digest, unlimitable, renewing }: SandboxEntry, plan: PluginPlan): boolean {
  return digest === plan.digest && !unlimitable && !renewing;
}

/** @param mayRoll whether there may be one more than wanted while outdated ones are replaced. */
function group(
  alive: readonly SandboxEntry[],
  plan: PluginPlan,
  wanted: number,
  mayRoll: boolean,
): { current: SandboxEntry[]; outdated: SandboxEntry[]; missing: number } {
  const current = alive.filter((sandbox) => isCurrent(sandbox, plan));
  const outdated = alive.filter((sandbox) => !isCurrent(sandbox, plan));
  const room = wanted + (mayRoll && outdated.length > 0 ? 1 : 0) - alive.length;
  return { current, outdated, missing: Math.max(0, Math.min(wanted - current.length, room)) };
}

function bySeat(sandboxes: readonly SandboxEntry[]): SandboxEntry[] {
  return [...sandboxes].sort((one, other) => one.seat - other.seat);
}

/** When the youngest ready sandbox will have been healthy for long enough to clear the back-off. */
export function nextReset(state: PluginState, now: number): number | undefined {
  if (state.deathsInRow === 0 && state.chains.length === 0) return undefined;
  const reset = state.plan?.declaration.recovery.backoff.resetMs ?? 0;
  const youngest = Math.max(...readyOnes(state).map(({ readyAt }) => readyAt ?? 0));
  return youngest + reset > now && Number.isFinite(youngest) ? youngest + reset : undefined;
}
