import { PAYLOAD_GID, PAYLOAD_UID } from './identity.ts';
import type { FileBind, HostMount, HostPaths, SandboxIdentity } from './plan.ts';

/** Where a sandbox sees its activity page, which is also BULKHEAD_ACTIVITY of its environment. */
export const ACTIVITY_PATH = '/run/bulkhead/activity';

/** Of one page; docs/activity-page.md has what is in it. */
export const ACTIVITY_BYTES = 65_536;

/** More sandboxes than a plugin can have at a time, those that end among them. */
const MOST_PAGES = 256;

/** The file of a sandbox's page on the host. */
export function activityFile({ plugin, unit }: { plugin: string; unit: string }, paths: HostPaths): string {
  return `${activityDirectory(plugin, paths)}/${unit}`;
}

/** Host ids that the page belongs to. */
export function activityOwner({ uidBase }: Pick<SandboxIdentity, 'uidBase'>): { uid: number; gid: number } {
  return { uid: uidBase + PAYLOAD_UID, gid: uidBase + PAYLOAD_GID };
}

/**
 * A file system for the pages of one plugin: a payload can make its own page as large as that has room, which is at the
 * cost of its siblings alone.
 */
export function activityMount(plugin: string, paths: HostPaths): HostMount {
  const size = `size=${MOST_PAGES * ACTIVITY_BYTES},nr_inodes=${MOST_PAGES + 1}`;
  return {
    where: activityDirectory(plugin, paths),
    what: 'tmpfs',
    type: 'tmpfs',
    options: `nosuid,nodev,noexec,mode=0700,${size}`,
    stamp: undefined,
  };
}

/** The one file of it that a sandbox sees. */
export function activityBind(sandbox: { plugin: string; unit: string }, paths: HostPaths): FileBind {
  return { kind: 'bind-file', source: activityFile(sandbox, paths), target: ACTIVITY_PATH, from: undefined };
}

function activityDirectory(plugin: string, paths: HostPaths): string {
  return `${paths.run}/activity/${plugin}`;
}
