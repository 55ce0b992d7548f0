import type { Supervisor } from '../act/supervisor.ts';
import { activityFile } from '../plan/activity.ts';
import { parseSandboxUnit, UID_RANGE_SIZE } from '../plan/identity.ts';
import type { HostPaths } from '../plan/plan.ts';
import type { IncidentScene } from '../record/incidents.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';

/** What is to be seen of a sandbox that something is wrong with; undefined when nothing is known of it any more. */
export function sceneOf(
  unit: string,
  sandboxes: Sandboxes,
  supervisor: Supervisor,
  paths: HostPaths,
): IncidentScene | undefined {
  const record = sandboxes.get(unit)?.record;
  const plugin = parseSandboxUnit(unit)?.plugin;
  if (record === undefined || plugin === undefined) return undefined;
  const { cgroup, payloadCgroup, uidBase } = record;
  return {
    place: { cgroup, payloadCgroup, activityPage: activityFile(record, paths) },
    uids: { base: uidBase, count: UID_RANGE_SIZE },
    coreLimit: supervisor.loops.get(plugin)?.state.plan?.limits.core ?? 0,
  };
}
