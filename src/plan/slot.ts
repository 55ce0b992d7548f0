import type { Declaration } from '../declare/declaration.ts';
import type { HostPaths, SlotMount, SlotName } from './plan.ts';

/**
 * Where a sandbox of a plugin that is upgraded in place sees its tunnel, and in it the live version. Nothing else of the
 * sandbox follows the mounts of the host; native/base/slot.h has it, too.
 */
export const SLOT_PLACE = '/run/slot';
const LIVE = 'current';

/** What the sandbox's root has as /plugin: the same path, whichever version is live. */
export const SLOT_LINK = `${SLOT_PLACE}/${LIVE}`.slice(1);

/** The tunnel of a slot: a directory of the host in which one mount after the other is the live version. */
export function slotTunnel(plugin: string, slot: SlotName, { run }: HostPaths): string {
  return `${run}/slot/${plugin}/${slot}`;
}

/** Where on the host the live version of a tunnel is mounted. */
export function liveInTunnel(tunnel: string): string {
  return `${tunnel}/${LIVE}`;
}

/** The tunnel as sandboxes of the slot have it. */
export function slotMount(plugin: string, slot: SlotName, paths: HostPaths): SlotMount {
  return { kind: 'slot', source: slotTunnel(plugin, slot, paths), target: SLOT_PLACE, from: 'upgrade.way' };
}

/** Whether the version that its sandboxes see changes while they run. */
export function isInPlace({ upgrade, version }: Pick<Declaration, 'upgrade' | 'version'>): boolean {
  return upgrade.way === 'in-place' && version !== undefined;
}
