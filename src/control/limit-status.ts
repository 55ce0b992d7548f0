import type { SystemdUnits } from '../act/systemd-units.ts';
import { type LimitInForce, limitsInForce } from '../audit/limits-in-force.ts';
import type { PluginState } from '../decide/plugin-state.ts';
import { diskOf } from '../kernel/disk.ts';
import { limitFiles } from '../kernel/sandbox-facts.ts';
import { anchorUnitName, parseSandboxUnit } from '../plan/identity.ts';
import { helperNeeds } from '../plan/network.ts';
import type { PluginPlan } from '../plan/plan.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import type { Manager } from '../systemd/manager.ts';
import { sliceLimits, unitLimits } from '../unit/overhead.ts';

export interface LimitStatusParts {
  readonly manager: Manager;
  readonly units: SystemdUnits;
  readonly sandboxes: Sandboxes;
}

/** Limits of the plugin's slice, and of its sandboxes by unit. */
export interface LimitsOfPlugin {
  readonly slice: readonly LimitInForce[];
  readonly sandboxes: ReadonlyMap<string, readonly LimitInForce[]>;
}

/** What was asked for and what is in force, of all that runs of a plugin; nothing of what ends at that moment. */
export async function limitsOfPlugin(
  parts: LimitStatusParts,
  plan: PluginPlan,
  state: PluginState,
): Promise<LimitsOfPlugin> {
  const { manager, units, sandboxes } = parts;
  const { plugin, limits, size, sliceUnit, declaration } = plan;
  const disks = new Map(limits.io.map(({ path }) => [path, diskOf(path)]));
  const administrator = { unit: anchorUnitName(plugin), limits: await units.anchorLimits(plugin) };
  const found = await Promise.all(
    [...state.sandboxes.keys()].map(async (unit) => {
      const record = sandboxes.get(unit)?.record;
      const isolation = parseSandboxUnit(unit)?.isolation;
      if (record === undefined || isolation === undefined) return undefined;
      const type = isolation === 'scope' ? 'Scope' : 'Service';
      const properties = await manager.unitProperties(unit, ['Unit', type]);
      if (properties.LoadState !== 'loaded') return undefined;
      const own = {
        unit,
        limits: unitLimits(limits, isolation, helperNeeds(plan, declaration.health, declaration.upgrade.judge.metrics)),
        administrator: { unit: '', limits: [] },
      };
      return [unit, limitsInForce({ ...own, properties, files: limitFiles(record.cgroup), disks })] as const;
    }),
  );
  const properties = await manager.unitProperties(sliceUnit, ['Unit', 'Slice']);
  const slice = {
    unit: sliceUnit,
    limits: sliceLimits(
      limits,
      size + declaration.pool.standby,
      declaration.isolation,
      helperNeeds(plan, declaration.health, declaration.upgrade.judge.metrics),
    ),
    administrator,
    properties,
    files: limitFiles(`/plugin.slice/${sliceUnit}`),
    disks,
  };
  return {
    slice: properties.LoadState === 'loaded' ? limitsInForce(slice) : [],
    sandboxes: new Map(found.filter((each) => each !== undefined)),
  };
}
