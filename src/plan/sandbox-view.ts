import type { Declaration } from '../declare/declaration.ts';
import { imageMount, stateMount } from './host-mounts.ts';
import type { HostPaths, PlannedImage, PlannedMount, PluginPlan, SandboxPlan } from './plan.ts';
import { isInPlace, slotMount } from './slot.ts';
import { BRIDGE_PATH } from './stdio.ts';

/** Where a sandbox sees its version's directory, and our init. */
export const PLUGIN_DIRECTORY = '/plugin';
export const INIT_PATH = '/run/plugin-init';

/** Where a sandbox sees its secrets. */
export const CREDENTIALS_DIRECTORY = '/run/credentials';

/** Directories that a root directory must have, because nothing can be made in a read-only root. */
export const ROOT_DIRECTORIES = ['/usr', '/proc', '/sys', '/dev', '/run', '/tmp'] as const;

/** The directory of an installed version on the host, or the file with its image. */
export function versionDirectory(plugin: string, version: string, paths: HostPaths): string {
  return `${paths.versions}/${plugin}/${version}`;
}

/** Where the content of a version is found on the host: in its directory, or where its image is mounted. */
function versionSource(plugin: string, version: string, image: PlannedImage | undefined, paths: HostPaths): string {
  return image === undefined ? versionDirectory(plugin, version, paths) : imageMount(image, paths);
}

/** The directory that becomes the sandbox's root. */
export function rootDirectory(
  { declaration, image }: Pick<PluginPlan, 'declaration' | 'image'>,
  paths: HostPaths,
): string {
  if (image !== undefined) return imageMount(image, paths);
  const { root } = declaration.view;
  if (root !== 'host') return root;
  if (isInPlace(declaration)) return slotSkeletonOf(declaration.name, paths);
  return needsOwnSkeleton(declaration) ? skeletonOf(declaration.name, paths) : `${paths.run}/skeleton`;
}

/** The skeleton of a plugin with places of its own; in the common one all would see what others declare. */
export function skeletonOf(plugin: string, paths: HostPaths): string {
  return `${paths.run}/root/${plugin}`;
}

/** The same for one that is upgraded in place, whose /plugin is a link. Sandboxes of before may still have the other. */
export function slotSkeletonOf(plugin: string, paths: HostPaths): string {
  return `${paths.run}/root-in-place/${plugin}`;
}

function needsOwnSkeleton(declaration: Declaration): boolean {
  return mountPoints(declaration).some((place) => place !== PLUGIN_DIRECTORY);
}

/** Where on the host the secrets of a sandbox lie while it lives. */
export function credentialsOf(unit: string, paths: HostPaths): string {
  return `${paths.run}/credentials/${unit}`;
}

/** Directories that the root needs because something is mounted there, beside ROOT_DIRECTORIES. */
export function mountPoints(declaration: Declaration): string[] {
  const { version, view, state } = declaration;
  return [
    ...(version === undefined || isInPlace(declaration) ? [] : [PLUGIN_DIRECTORY]),
    ...view.tmpfs.map(({ path }) => path),
    ...(state.path === undefined ? [] : [state.path]),
  ];
}

/** What the sandbox sees beside its root directory and what nspawn always makes. */
export function planMounts(
  { declaration, credentials, versionImage }: PluginPlan,
  { unit, slot }: Pick<SandboxPlan, 'unit' | 'slot'>,
  paths: HostPaths,
): PlannedMount[] {
  const { name, version, view, state, devices } = declaration;
  const mounts: PlannedMount[] = [];
  if (view.root === 'host') mounts.push(bind('/usr', '/usr', 'view.root'));
  if (isInPlace(declaration)) mounts.push(slotMount(name, slot, paths));
  else if (version !== undefined)
    mounts.push(bind(versionSource(name, version, versionImage, paths), PLUGIN_DIRECTORY, 'version'));
  mounts.push(bind(`${paths.lib}/plugin-init`, INIT_PATH));
  if (declaration.stdio !== undefined) mounts.push(bind(`${paths.lib}/plugin-stdio`, BRIDGE_PATH, 'kind'));
  // nspawn's own /tmp and /dev/shm may take a tenth of the node's memory each.
  mounts.push(tmpfs('/tmp', view.tmp, 'view.tmp'), tmpfs('/dev/shm', view.tmp, 'view.tmp'));
  view.tmpfs.forEach(({ path, size }, index) => {
    mounts.push(tmpfs(path, size, `view.tmpfs[${index}]`));
  });
  if (state.path !== undefined)
    mounts.push({ kind: 'bind', source: stateMount(declaration, paths), target: state.path, from: 'state.path' });
  if (credentials.length > 0)
    mounts.push(bind(credentialsOf(unit, paths), CREDENTIALS_DIRECTORY, `credentials.${credentials[0]?.name}`));
  devices.forEach(({ path, access }, index) => {
    mounts.push({ kind: 'device', source: path, target: path, access, from: `devices[${index}]` });
  });
  return mounts;
}

function bind(source: string, target: string, from?: string): PlannedMount {
  return { kind: 'bind-ro', source, target, from };
}

function tmpfs(target: string, size: number, from: string): PlannedMount {
  return { kind: 'tmpfs', target, size, mode: 0o1777, from };
}

/**
 * The first word of `exec` as it is called inside the sandbox. "./x" means the version's directory, which is also the
 * working directory.
 */
export function programInside(declaration: Declaration): string {
  const program = declaration.exec[0] ?? '';
  return program.startsWith('./')
    ? `${workingDirectory(declaration)}${program.slice(1)}`.replace(/^\/\//, '/')
    : program;
}

/** What the program is told of where its directories are. */
export function viewEnvironment({ state, credentials }: Declaration): Record<string, string> {
  return {
    ...(state.path === undefined ? {} : { STATE_DIRECTORY: state.path }),
    ...(credentials.length === 0 ? {} : { CREDENTIALS_DIRECTORY }),
  };
}

/** The version's directory, or the root when everything is in the root. */
export function workingDirectory(declaration: Declaration): string {
  return declaration.version === undefined ? '/' : PLUGIN_DIRECTORY;
}

/** Where the program is on the host; undefined when it is at a place that the sandbox does not see. */
export function programOnHost(declaration: Declaration, paths: HostPaths): string | undefined {
  const { name, version, view } = declaration;
  const inside = programInside(declaration);
  if (version !== undefined && inside.startsWith(`${PLUGIN_DIRECTORY}/`)) {
    return `${versionDirectory(name, version, paths)}${inside.slice(PLUGIN_DIRECTORY.length)}`;
  }
  if (view.root !== 'host') return `${view.root}${inside}`;
  return /^\/(usr|bin|sbin|lib|lib64)\//.test(inside) ? inside : undefined;
}
