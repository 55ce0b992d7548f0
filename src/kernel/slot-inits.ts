import { readdirSync } from 'node:fs';
import { parseSandboxUnit, pluginSliceName } from '../plan/identity.ts';
import type { SlotName } from '../plan/plan.ts';
import { NSPAWN_PAYLOAD_GROUP } from '../plan/plan-sandbox.ts';
import { CGROUP_ROOT, processesIn } from './cgroup.ts';
import { isInit } from './payload.ts';

/** The first processes of the sandboxes that are in the slot now, each for its namespaces. */
export function initsInSlot(plugin: string, slot: SlotName): number[] {
  const slice = `/plugin.slice/${pluginSliceName(plugin)}`;
  return unitsIn(slice)
    .filter((unit) => parseSandboxUnit(unit)?.slot === slot)
    .flatMap((unit) => [`${slice}/${unit}`, `${slice}/${unit}/${NSPAWN_PAYLOAD_GROUP}`])
    .flatMap((cgroup) => processesIn(cgroup).find(isInit) ?? []);
}

function unitsIn(slice: string): string[] {
  try {
    return readdirSync(`${CGROUP_ROOT}${slice}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
