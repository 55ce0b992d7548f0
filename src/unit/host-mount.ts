import { mountUnitName } from '../plan/host-mounts.ts';
import type { HostMount } from '../plan/plan.ts';
import { busProperties, type Settings } from './properties.ts';
import type { TransientUnit } from './transient-unit.ts';

/** What is set on the unit of a mount that sandboxes share. */
export function hostMountSettings({ what, type, options }: HostMount): Settings {
  return {
    description: `${what} for sandboxes`,
    collectMode: 'inactive-or-failed',
    // What mount(8) says is the reason that people are told.
    syslogLevel: 'err',
    mountWhat: what,
    mountType: type,
    mountOptions: options,
  };
}

/** The unit of a mount, for StartTransientUnit. */
export function hostMountUnit(mount: HostMount): TransientUnit {
  return { name: mountUnitName(mount.where), properties: busProperties(hostMountSettings(mount)) };
}
