import { helperNeeds } from '../plan/network.ts';
import type { PluginPlan } from '../plan/plan.ts';
import { limitSettings, unitLimits } from './overhead.ts';
import { type BusProperty, busProperties } from './properties.ts';

/** The limits of a living sandbox's unit, for SetUnitProperties. */
export function liveProperties(plan: PluginPlan): BusProperty[] {
  return anew(
    busProperties(
      limitSettings(
        unitLimits(
          plan.limits,
          plan.declaration.isolation,
          helperNeeds(plan, plan.declaration.health, plan.declaration.upgrade.judge.metrics),
        ),
      ),
    ),
  );
}

/**
 * The same properties for a unit that may have other values of them. What is set of a list by disk goes on top of what
 * there is (org.freedesktop.systemd1(5)), so the list is emptied first; systemd does both in one call, in this order.
 */
export function anew(properties: readonly BusProperty[]): BusProperty[] {
  return properties.flatMap((property) => {
    const [name, signature] = property;
    const empty: BusProperty = [name, signature, []];
    return signature === 'a(st)' ? [empty, property] : [property];
  });
}
