import type { BusProperty } from './properties.ts';
import type { TransientUnit } from './transient-unit.ts';

/** Cgroup settings that a person may give to an anchor and that make sense for a whole plugin. All are numbers (t). */
const NAMES = [
  'MemoryMax',
  'MemoryHigh',
  'MemorySwapMax',
  'CPUQuotaPerSecUSec',
  'CPUWeight',
  'IOWeight',
  'TasksMax',
] as const;

/**
 * The settings that somebody made, out of all D-Bus properties of an anchor (org.freedesktop.systemd1(5)). The package's
 * unit sets none of them, so what is neither infinite nor systemd's default is a person's.
 */
export function administratorLimits(
  properties: Readonly<Record<string, unknown>>,
  defaultTasksMax: unknown,
): readonly BusProperty[] {
  const found: BusProperty[] = [];
  for (const name of NAMES) {
    const value = properties[name];
    if (typeof value !== 'number') continue;
    if (name === 'TasksMax' && value === defaultTasksMax) continue;
    found.push([name, 't', value]);
  }
  return found;
}

/** The unit with these settings instead of its own of the same name. */
export function withLimits(unit: TransientUnit, limits: readonly BusProperty[]): TransientUnit {
  const names = new Set(limits.map(([name]) => name));
  return { name: unit.name, properties: [...unit.properties.filter(([name]) => !names.has(name)), ...limits] };
}
