import type { Declaration } from '../declare/declaration.ts';
import { activityMount } from './activity.ts';
import { digestText } from './digest.ts';
import type { HostMount, HostPaths, PlannedImage, PlannedState, PluginPlan } from './plan.ts';
import { escapeUnitPath } from './unit-name.ts';

/** The mounts that the host makes for a sandbox: they need privileges that the supervisor does not have. */
export function planHostMounts(
  { plugin, image, versionImage, declaration }: PluginPlan,
  paths: HostPaths,
): HostMount[] {
  const mounts: HostMount[] = [activityMount(plugin, paths)];
  for (const each of [image, versionImage]) {
    if (each === undefined) continue;
    const { file, format, stamp } = each;
    mounts.push({ where: imageMount(each, paths), what: file, type: format, options: 'loop,ro,nosuid,nodev', stamp });
  }
  const state = planState(declaration, paths);
  if (state !== undefined) {
    // The sandbox's own mount is a copy of this one, and has its options.
    const options = 'bind,nosuid,nodev,noexec';
    mounts.push({
      where: stateMount(declaration, paths),
      what: state.directory,
      type: 'none',
      options,
      stamp: undefined,
    });
  }
  return mounts;
}

/** Where an image is mounted: one place for each file and content, whoever uses it. */
export function imageMount({ file, stamp }: PlannedImage, paths: HostPaths): string {
  return `${paths.run}/image/${digestText(`${file}\n${stamp}`)}`;
}

/** Where a plugin's state directory is mounted without set-uid programs, devices and executables. */
export function stateMount({ name }: Declaration, paths: HostPaths): string {
  return `${paths.run}/state/${name}`;
}

/** The state directory on the host; undefined when none is declared. */
export function planState({ name, state }: Declaration, paths: HostPaths): PlannedState | undefined {
  return state.path === undefined ? undefined : { directory: `${paths.state}/${name}`, quota: state.quota };
}

/** The unit of a mount; systemd wants exactly this name for the place (systemd.mount(5)). */
export function mountUnitName(where: string): string {
  return `${escapeUnitPath(where)}.mount`;
}
