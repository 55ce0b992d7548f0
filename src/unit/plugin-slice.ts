import { helperNeeds } from '../plan/network.ts';
import type { PlannedLimits, PluginPlan } from '../plan/plan.ts';
import { limitSettings, roomierLimits, sliceLimits } from './overhead.ts';
import { busProperties, type Settings } from './properties.ts';
import type { TransientUnit } from './transient-unit.ts';

/**
 * What is set on the plugin's slice, by plan field: its totals, and its weight against other plugins.
 *
 * @param beside the plan of an upgrade's other side, which has to have its room, too.
 */
export function sliceSettings(plan: PluginPlan, beside?: PluginPlan): Settings {
  const limits = beside === undefined ? limitsOf(plan) : roomierLimits(limitsOf(plan), limitsOf(beside));
  return {
    description: `Plugin ${plan.plugin}`,
    collectMode: 'inactive-or-failed',
    ...limitSettings(limits),
  };
}

function limitsOf(plan: PluginPlan): PlannedLimits {
  const { limits, size, declaration } = plan;
  const { pool, isolation, health, upgrade } = declaration;
  return sliceLimits(limits, size + pool.standby, isolation, helperNeeds(plan, health, upgrade.judge.metrics));
}

/** The plugin's slice, for StartTransientUnit; when it exists already, its resource properties can be set again. */
export function pluginSlice(plan: PluginPlan, beside?: PluginPlan): TransientUnit {
  return { name: plan.sliceUnit, properties: busProperties(sliceSettings(plan, beside)) };
}
