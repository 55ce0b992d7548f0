/** What stands between a payload and the rest; each can be broken by itself, see `broken-walls.ts`. */
export const WALLS = [
  'user namespace',
  'id range',
  'pid namespace',
  'ipc namespace',
  'uts namespace',
  'cgroup namespace',
  'network namespace',
  'ids',
  'groups',
  'capabilities',
  'no new privileges',
  'filter',
  'view',
  'read-only root',
  'read-only version',
  'size of tmp',
  'devices',
  'no devices in mounts',
  'read-only cgroup',
  'open files',
  'descriptors',
  'environment',
  'oom score',
] as const;

export type Wall = (typeof WALLS)[number];

/** The kinds of isolation that the suite runs for. */
export const KINDS = ['nspawn', 'scope'] as const;
export type Kind = (typeof KINDS)[number];
