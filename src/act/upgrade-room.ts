import { formatBytes } from '../base/bytes.ts';
import { Failure } from '../base/failure.ts';
import type { PluginState } from '../decide/plugin-state.ts';
import type { Upgrade, UpgradeStep } from '../decide/upgrade.ts';
import { surgeOf } from '../declare/upgrade.ts';
import type { PluginPlan } from '../plan/plan.ts';

/** Steps in which there is a second side that may still grow to its limits. */
const BESIDE: readonly UpgradeStep[] = ['preparing', 'starting', 'canary', 'committing', 'undoing'];

/** Memory that another change of version may still take. */
export interface Promised {
  readonly plugin: string;
  readonly bytes: number;
}

/** Bytes that so many sandboxes of the plan may take; undefined where nothing limits them. */
export function memoryFor(plan: PluginPlan, sandboxes: number): number | undefined {
  const { memoryMax } = plan.limits;
  return memoryMax === 'infinity' ? undefined : memoryMax * sandboxes;
}

/**
 * What a plugin's second side may take beyond what it has; nothing for a plugin without one.
 *
 * @param admitted whether this change was let through although its state does not say so yet
 * @param used bytes that a sandbox has now, 0 where that is not known
 */
export function promisedTo(
  { plugin, upgrade, sandboxes }: PluginState,
  admitted: (upgrade: Upgrade) => boolean,
  used: (unit: string) => number,
): Promised | undefined {
  if (upgrade?.plan === undefined || upgrade.way !== 'beside') return undefined;
  if (!BESIDE.includes(upgrade.step) && !admitted(upgrade)) return undefined;
  const { plan, slot } = upgrade;
  const most = memoryFor(plan, surgeOf(plan.declaration.upgrade.surge, plan.size)) ?? 0;
  const own = [...sandboxes.values()].filter((sandbox) => sandbox.slot === slot);
  const has = own.reduce((sum, { unit }) => sum + used(unit), 0);
  return { plugin, bytes: Math.max(0, most - has) };
}

/** Whether a second side fits beside all that runs and is to run. @throws Failure BH431 with the numbers. */
export function requireRoom(plan: PluginPlan, surge: number, available: number, promised: readonly Promised[]): void {
  const needed = memoryFor(plan, surge);
  if (needed === undefined) return;
  const others = promised.reduce((sum, { bytes }) => sum + bytes, 0);
  if (needed <= available - others) return;
  const names = promised
    .filter(({ bytes }) => bytes > 0)
    .map(({ plugin }) => `'${plugin}'`)
    .join(', ');
  const spoken = others === 0 ? '' : `, ${formatBytes(others)} of it for changes of ${names}`;
  const each = surge === 1 ? '1 sandbox' : `${surge} sandboxes`;
  throw new Failure(
    'BH431',
    `'${plan.plugin}': ${each} more may take ${formatBytes(needed)}, and ${formatBytes(available)} are available${spoken}`,
  );
}
