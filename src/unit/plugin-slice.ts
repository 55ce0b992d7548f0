import { helperNeeds } from '../plan/network.ts';
import type { PluginPlan } from '../plan/plan.ts';
import { limitSettings, sliceLimits } from './overhead.ts';
import { busProperties, type Settings } from './properties.ts';
import type { TransientUnit } from './transient-unit.ts';

/** What is set on the plugin's slice, by plan field: its totals, and its weight against other plugins. */
export function sliceSettings(plan: PluginPlan): Settings {
  const limits = sliceLimits(
    plan.limits,
    plan.size + plan.declaration.pool.standby,
    plan.declaration.isolation,
    helperNeeds(plan, plan.declaration.health),
  );
  return {
    description: `Plugin ${plan.plugin}`,
    collectMode: 'inactive-or-failed',
    ...limitSettings(limits),
  };
}

/** The plugin's slice, for StartTransientUnit; when it exists already, its resource properties can be set again. */
export function pluginSlice(plan: PluginPlan): TransientUnit {
  return { name: plan.sliceUnit, properties: busProperties(sliceSettings(plan)) };
}
