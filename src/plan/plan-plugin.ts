import { formatBytes } from '../base/bytes.ts';
import type { Problem } from '../base/problem.ts';
import type { Declaration, Origins } from '../declare/declaration.ts';
import { checkDevices, checkRoot, rootDirectories } from './check-view.ts';
import { digestText } from './digest.ts';
import { filterName } from './filter-name.ts';
import { anchorUnitName, pluginSliceName } from './identity.ts';
import { listenerKey } from './listener-key.ts';
import { fixedLimits, liveLimitsDigest } from './live-limits.ts';
import { HOSTS, hostsText, planNetwork } from './network.ts';
import type { HostFacts, HostPaths, PlannedImage, PlannedListener, PluginPlan } from './plan.ts';
import { planLimits } from './plan-limits.ts';
import { PlanProblems } from './plan-problems.ts';
import { planSandbox } from './plan-sandbox.ts';
import { PLUGIN_DIRECTORY, programOnHost, versionDirectory } from './sandbox-view.ts';
import { isInPlace } from './slot.ts';

/** The oldest systemd that has all that a sandbox needs. */
export const OLDEST_SYSTEMD = 252;

export interface PlanResult {
  /** There when there are no problems. */
  readonly plan?: PluginPlan;
  readonly problems: readonly Problem[];
}

/** The host paths that must be looked at before planning; their kinds go into `HostFacts.files`. */
export function requiredPaths(declaration: Declaration, paths: HostPaths): string[] {
  const { name, version, view } = declaration;
  const wanted = new Set<string>();
  if (version !== undefined) wanted.add(versionDirectory(name, version, paths));
  const program = programOnHost(declaration, paths);
  if (program !== undefined) wanted.add(program);
  for (const { path } of declaration.limits.io) wanted.add(path);
  if (view.root !== 'host') {
    wanted.add(view.root);
    for (const directory of rootDirectories(declaration)) wanted.add(`${view.root}${directory}`);
    if (hostsText(planNetwork(declaration.network)) !== undefined) wanted.add(`${view.root}${HOSTS}`);
  }
  return [...wanted];
}

/** The files whose stamps go into `HostFacts.stamps`; what is an image among them into `HostFacts.images`. */
export function stampedPaths(declaration: Declaration, paths: HostPaths): string[] {
  return [...imagePaths(declaration, paths), ...declaration.credentials.map(({ path }) => path)];
}

/** What may be images: the root, and the version. */
export function imagePaths({ name, version, view }: Declaration, paths: HostPaths): string[] {
  return [
    ...(view.root === 'host' ? [] : [view.root]),
    ...(version === undefined ? [] : [versionDirectory(name, version, paths)]),
  ];
}

/** Plans a plugin for this host, or says all that keeps it from running here. */
export function planPlugin(declaration: Declaration, origins: Origins, host: HostFacts): PlanResult {
  const problems = new PlanProblems(origins);
  checkHost(host, problems);
  checkFiles(declaration, host, problems);
  checkDevices(declaration, host, problems);
  checkSeccomp(declaration, host, problems);
  checkDisks(declaration, host, problems);
  const limits = planLimits(declaration.limits, host.memoryTotal);
  const { memoryHigh, memoryMax } = limits;
  if (memoryHigh !== 'infinity' && memoryMax !== 'infinity' && memoryHigh > memoryMax) {
    problems.contradiction(
      'limits.memory-high',
      `'limits.memory-high' is ${formatBytes(memoryHigh)}, more than 'limits.memory', which is ${formatBytes(memoryMax)} on this node`,
      'limits.memory',
    );
  }
  if (problems.found.length > 0) return { problems: problems.found };
  const { name, version } = declaration;
  const undigested: PluginPlan = {
    plugin: name,
    version,
    declaration,
    origins,
    anchorUnit: anchorUnitName(name),
    sliceUnit: pluginSliceName(name),
    size: declaration.pool.size,
    listeners: planListeners(declaration),
    network: planNetwork(declaration.network),
    seccomp: filterName(declaration),
    limits,
    image: plannedImage(declaration.view.root, host),
    versionImage: version === undefined ? undefined : plannedImage(versionDirectory(name, version, host.paths), host),
    credentials: declaration.credentials.map((each) => ({ ...each, stamp: host.stamps.get(each.path) ?? 'none' })),
    digest: '',
    limitsDigest: liveLimitsDigest(limits),
  };
  return { plan: { ...undigested, digest: digestOf(undigested, host.paths) }, problems: [] };
}

function plannedImage(file: string, { files, images, stamps }: HostFacts): PlannedImage | undefined {
  const [format, stamp] = [images.get(file), stamps.get(file)];
  return files.get(file) === 'directory' || format === undefined || stamp === undefined
    ? undefined
    : { file, format, stamp };
}

/** In the order in which init wants them: first what the payload gets. */
function planListeners({ name, listen }: Declaration): PlannedListener[] {
  const all = listen.map((each) => ({ key: listenerKey(name, each), listen: each }));
  return [
    ...all.filter(({ listen: { to } }) => to === undefined),
    ...all.filter(({ listen: { to } }) => to !== undefined),
  ];
}

/**
 * Digest over one sandbox with a fixed identity: whatever a sandbox is made of counts, and nothing else does; nor does
 * what can be changed while it runs: such limits, how long it may drain, and a version that is upgraded in place.
 */
function digestOf(plan: PluginPlan, paths: HostPaths): string {
  const lasting = isInPlace(plan.declaration) ? { ...plan, version: undefined } : plan;
  const sandbox = planSandbox(lasting, { slot: 'a', generation: 0, uidBase: 0 }, paths);
  return digestText(JSON.stringify({ ...sandbox, drainMs: undefined, limits: fixedLimits(plan.limits) }));
}

function checkHost(host: HostFacts, problems: PlanProblems): void {
  if (host.systemdVersion < OLDEST_SYSTEMD) {
    problems.add(
      'BH203',
      'template',
      `systemd ${OLDEST_SYSTEMD} or newer is needed, this host has ${host.systemdVersion}`,
    );
  }
}

function checkSeccomp({ seccomp }: Declaration, host: HostFacts, problems: PlanProblems): void {
  if (host.seccompProfiles.includes(seccomp)) return;
  const known = [...host.seccompProfiles].sort().join(', ');
  problems.add(
    'BH205',
    'seccomp',
    `there is no seccomp profile '${seccomp}'`,
    known === '' ? undefined : `there are ${known}`,
  );
}

/** systemd would set no limit and say so in its own journal only. */
function checkDisks({ limits }: Declaration, host: HostFacts, problems: PlanProblems): void {
  limits.io.forEach(({ path }, index) => {
    if ((host.files.get(path) ?? 'missing') !== 'missing') return;
    problems.add('BH203', `limits.io[${index}].path`, `there is no '${path}', so no disk to limit`);
  });
}

function checkFiles(declaration: Declaration, host: HostFacts, problems: PlanProblems): void {
  const { name, version, view } = declaration;
  if (view.root !== 'host') checkRoot(declaration, host, problems);
  if (version !== undefined) {
    const directory = versionDirectory(name, version, host.paths);
    const isImage = plannedImage(directory, host) !== undefined;
    if (host.files.get(directory) !== 'directory' && !isImage) {
      const what = 'is neither a directory nor a squashfs or erofs image';
      problems.add('BH201', 'version', `version '${version}' is not installed: '${directory}' ${what}`);
      return;
    }
    if (isImage && isInPlace(declaration)) {
      problems.contradiction(
        'upgrade.way',
        `version '${version}' is an image, which is not upgraded in place`,
        'version',
      );
      return;
    }
    // What is in an image is seen when it is mounted.
    if (isImage && programOnHost(declaration, host.paths)?.startsWith(`${directory}/`)) return;
  }
  const [program = ''] = declaration.exec;
  const onHost = programOnHost(declaration, host.paths);
  if (onHost === undefined) {
    const shown = version === undefined ? '/usr' : `/usr and, as ${PLUGIN_DIRECTORY}, the version's directory`;
    problems.add('BH202', 'exec', `'${program}' cannot be seen in the sandbox`, `it shows ${shown} of the host only`);
    return;
  }
  // Absolute links inside another root lead elsewhere when they are looked at from the host, so they cannot be judged.
  const kind = host.files.get(onHost) ?? 'missing';
  if (kind === 'executable' || (kind === 'missing' && view.root !== 'host' && !onHost.startsWith(host.paths.versions)))
    return;
  const what = { missing: 'there is no such file', file: 'it is not executable', directory: 'it is a directory' }[kind];
  problems.add(
    'BH202',
    'exec',
    `'${program}' cannot be executed: ${what}`,
    onHost === program ? undefined : `looked for '${onHost}'`,
  );
}
