/**
 * What was counted against a sandbox's limits since it began, as the kernel tells it (cgroup-v2.rst). A counter of a
 * controller that the host does not have stays 0.
 */
export interface LimitCounters {
  /** memory.events: how often it was slowed down at memory.high, and how often it was at memory.max. */
  readonly high: number;
  readonly max: number;
  /** Times that memory ran out at a limit of the sandbox itself, and processes of it that were killed, for whatever. */
  readonly oom: number;
  readonly oomKills: number;
  /** Times that memory ran out at the limit of the plugin's slice, and at that of all plugins together. */
  readonly sliceOom: number;
  readonly pluginsOom: number;
  /** Processes of all sandboxes of the plugin that were killed. */
  readonly sliceOomKills: number;
  /** pids.events: forks that failed. */
  readonly forksRefused: number;
  /** cpu.stat: periods in which it ran into its quota, out of those in which it ran. */
  readonly throttled: number;
  readonly periods: number;
  /** Descriptors of the process that is nearest to its limit, when one is about there; else 0. */
  readonly files: number;
  /** Directories with no room left. */
  readonly full: readonly string[];
}

export const NOTHING_COUNTED: LimitCounters = {
  high: 0,
  max: 0,
  oom: 0,
  oomKills: 0,
  sliceOom: 0,
  pluginsOom: 0,
  sliceOomKills: 0,
  forksRefused: 0,
  throttled: 0,
  periods: 0,
  files: 0,
  full: [],
};
