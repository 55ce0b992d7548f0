import type { PluginState, SandboxEntry } from '../decide/plugin-state.ts';
import { planOf } from '../decide/sides.ts';
import type { Upgrade } from '../decide/upgrade.ts';
import type { BothSides } from '../diagnose/trial.ts';
import type { SlotName } from '../plan/plan.ts';
import type { Side, WatchedSandbox, WatchedUpgrade } from '../watch/upgrade-watch.ts';

/** Steps in which the new side has what it is judged by, and those before. */
const JUDGED: readonly Upgrade['step'][] = ['canary', 'baking', 'committing'];
const BEFORE: readonly Upgrade['step'][] = ['planning', 'verifying', 'preparing', 'starting', 'switching'];

/**
 * What is to be watched of a plugin's upgrade; undefined when there is none, or it is decided.
 * @param queued connections that wait at the listeners of a slot
 */
export function watchedUpgrade(
  state: PluginState,
  queued: (state: PluginState, slot: SlotName) => number | undefined,
): WatchedUpgrade | undefined {
  const { plugin, upgrade } = state;
  const plan = upgrade?.plan ?? state.plan;
  if (upgrade === undefined || plan === undefined) return undefined;
  const { id, step, slot, since, stageSince, bakeMs } = upgrade;
  if (!JUDGED.includes(step) && !BEFORE.includes(step)) return undefined;
  const ofSlot = (name: SlotName): number | undefined => queued(state, name);
  return {
    plugin,
    id,
    since,
    stageSince: JUDGED.includes(step) ? stageSince : undefined,
    bakeMs,
    terms: plan.declaration.upgrade.judge,
    heartbeatMs: plan.declaration.health.heartbeatMs,
    sandboxes: [...state.sandboxes.values()]
      .filter(({ learning }) => !learning)
      .flatMap((one) => sandboxOf(state, one)),
    queued: queuedOf(upgrade, slot, ofSlot),
  };
}

/** On which side of the upgrade a sandbox is. In place all of them come from the one to the other at once. */
export function sideOf({ way, slot, step }: Upgrade, entry: Pick<SandboxEntry, 'slot'>): Side {
  if (way === 'in-place') return JUDGED.includes(step) ? 'new' : 'old';
  return entry.slot === slot ? 'new' : 'old';
}

function sandboxOf(state: PluginState, entry: SandboxEntry): WatchedSandbox[] {
  const { unit, life, slot, standby, readyAt, readiness, verdict } = entry;
  if (state.upgrade === undefined || (life !== 'starting' && life !== 'ready' && life !== 'stopping')) return [];
  const plan = planOf(state, slot);
  return [
    {
      unit,
      side: sideOf(state.upgrade, entry),
      serves: life === 'ready' && !standby,
      readyAt,
      unready: readiness === false,
      ill: verdict !== undefined,
      memoryMax: plan?.limits.memoryMax ?? 'infinity',
      metrics: plan?.declaration.upgrade.judge.metrics,
    },
  ];
}

function queuedOf(
  { way, step }: Upgrade,
  slot: SlotName,
  queued: (slot: SlotName) => number | undefined,
): BothSides<number | undefined> {
  if (way === 'beside') return { old: queued(slot === 'a' ? 'b' : 'a'), new: queued(slot) };
  return JUDGED.includes(step) ? { old: undefined, new: queued(slot) } : { old: queued(slot), new: undefined };
}
