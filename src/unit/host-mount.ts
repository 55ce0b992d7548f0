import { mountUnitName } from '../plan/host-mounts.ts';
import type { HostMount } from '../plan/plan.ts';
import { busProperties, type Settings } from './properties.ts';
import type { TransientUnit } from './transient-unit.ts';

/** What is set on the unit of a mount that sandboxes share. */
export function hostMountSettings({ what, type, options }: HostMount): Settings {
  return {
    description: type === 'tmpfs' ? 'activity pages of sandboxes' : `${what} for sandboxes`,
    collectMode: 'inactive-or-failed',
    // What mount(8) says is the reason that people are told.
    syslogLevel: 'err',
    mountWhat: what,
    mountType: type,
    mountOptions: options,
    // Whoever has a file of it open keeps it; nobody else finds it any more.
    ...(type === 'tmpfs' ? { mountLazyUnmount: true } : {}),
  };
}

/** The unit of a mount, for StartTransientUnit. */
export function hostMountUnit(mount: HostMount): TransientUnit {
  return { name: mountUnitName(mount.where), properties: busProperties(hostMountSettings(mount)) };
}
