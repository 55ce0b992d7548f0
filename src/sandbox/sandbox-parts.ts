import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { Failure } from '../base/failure.ts';
import { makeActivityFile } from '../kernel/activity-file.ts';
import { makeDirectory, removeFile } from '../kernel/files.ts';
import { ACTIVITY_BYTES, activityFile, activityOwner } from '../plan/activity.ts';
import { planHostMounts } from '../plan/host-mounts.ts';
import { parseSandboxUnit } from '../plan/identity.ts';
import { HOSTS } from '../plan/network.ts';
import type { BySlot, HostPaths, PluginPlan, SandboxPlan, SlotName } from '../plan/plan.ts';
import { credentialsOf, ROOT_DIRECTORIES, skeletonOf, slotSkeletonOf } from '../plan/sandbox-view.ts';
import { SLOT_LINK } from '../plan/slot.ts';
import { stepUnit } from '../unit/step-unit.ts';
import { removeCallDirectory, removeCallSocket, sweepCallSockets } from './call-sockets.ts';
import { copyCredentials, removeCredentials } from './credentials.ts';
import { HostMounts, type MountControl } from './host-mounts.ts';
import type { SandboxRecord } from './sandbox-record.ts';
import { makeSkeleton } from './skeleton.ts';
import { Slots } from './slots.ts';
import { ensureState, type WithoutQuota } from './state-directory.ts';

/** How much longer (ms) than its own limit a step is waited for. */
const STEP_GRACE_MS = 45_000;

/** What has to be on the host before a sandbox can be started: mounts, state directory, credentials, mount points. */
export class SandboxParts {
  readonly #paths: HostPaths;
  readonly #units: MountControl;
  readonly #mounts: HostMounts;
  readonly #withoutQuota: WithoutQuota = new Set();
  readonly #slots: Slots;
  #steps = 0;

  constructor(paths: HostPaths, units: MountControl) {
    this.#paths = paths;
    this.#units = units;
    this.#mounts = new HostMounts(units);
    this.#slots = new Slots(paths, (description, command) => this.#step(description, command));
  }

  /** The plans are in force from now on, so that their mounts stay while no sandbox runs. */
  inForce(plugin: string, plans: BySlot<PluginPlan>): void {
    const mounts = Object.values(plans).flatMap((plan) => planHostMounts(plan, this.#paths));
    for (const slot of ['a', 'b'] as const)
      if (plans[slot] !== undefined) this.#slots.planned(plugin, slot, plans[slot].version);
    this.#mounts.need(planOf(plugin), places(mounts));
  }

  /** What only plans needed that are not in force any more, as after an upgrade, is let go. */
  letGo(): Promise<void> {
    return this.#mounts.letGo();
  }

  /** The plugin has no plan any more. */
  async retire(plugin: string): Promise<void> {
    for (const root of [skeletonOf(plugin, this.#paths), slotSkeletonOf(plugin, this.#paths)])
      rmSync(root, { recursive: true, force: true });
    removeCallDirectory(plugin, this.#paths);
    await this.#slots.retire(plugin);
    await this.#mounts.drop(planOf(plugin));
  }

  /** A sandbox with these mounts is recorded, and may run. */
  recorded(unit: string, mounts: readonly string[]): void {
    this.#mounts.need(unit, mounts);
  }

  /** The same of one that an earlier supervisor started. */
  adopted({ unit, plugin, slot, hostMounts }: SandboxRecord): void {
    this.recorded(unit, hostMounts ?? []);
    this.#slots.adopted(plugin, slot);
  }

  /** All that run in the slot see this version from now on. Throws BH340. */
  switchVersion(plugin: string, slot: SlotName, version: string | undefined): Promise<void> {
    return this.#slots.switch({ plugin, slot, version });
  }

  /** Makes all of it; the sandbox is recorded. Throws BH309, BH310, BH311, BH313 and BH340. */
  async prepare(plan: SandboxPlan): Promise<void> {
    const { unit, state, credentials, hostMounts, mounts, rootDirectory } = plan;
    if (mounts.some(({ kind }) => kind === 'slot')) await this.#slots.prepare(plan);
    if (state !== undefined) {
      const words = [`${this.#paths.lib}/plugin-quota`, state.directory, String(state.quota)];
      await ensureState(state, () => this.#step(`Quota of ${state.directory}`, words), this.#withoutQuota);
    }
    for (const mount of hostMounts) await this.#mounts.ensure(mount);
    makeActivityFile(activityFile(plan, this.#paths), ACTIVITY_BYTES, activityOwner(plan));
    this.#makeRoot(plan);
    const image = hostMounts.find(({ where }) => where === rootDirectory);
    if (image !== undefined) checkMountPoints(plan, image.what);
    if (credentials.length === 0) return;
    await copyCredentials(credentialsOf(unit, this.#paths), credentials, ({ name, path }, target) =>
      this.#step(`Credential ${name}`, [SYSTEMD_CREDS, 'decrypt', `--name=${name}`, path, target]),
    );
  }

  /** Nothing of the sandbox is left. */
  async forget(unit: string): Promise<void> {
    removeCredentials(credentialsOf(unit, this.#paths));
    const plugin = parseSandboxUnit(unit)?.plugin;
    if (plugin !== undefined) removeFile(activityFile({ plugin, unit }, this.#paths));
    removeCallSocket(unit, this.#paths);
    await this.#mounts.drop(unit);
  }

  /** Removes what an earlier supervisor left of sandboxes that are not recorded. */
  async sweep(recorded: ReadonlySet<string>): Promise<void> {
    for (const unit of namesBelow(`${this.#paths.run}/credentials`))
      if (!recorded.has(unit)) removeCredentials(credentialsOf(unit, this.#paths));
    for (const plugin of namesBelow(`${this.#paths.run}/activity`))
      for (const unit of namesBelow(`${this.#paths.run}/activity/${plugin}`))
        if (!recorded.has(unit)) removeFile(activityFile({ plugin, unit }, this.#paths));
    sweepCallSockets(recorded, this.#paths);
    // Not those of tunnels, which systemd lists, too: whoever runs needs them, and no plan has them.
    for (const kind of ['activity', 'image', 'state']) await this.#mounts.sweep(`${this.#paths.run}/${kind}`);
    await this.#slots.sweep();
  }

  #makeRoot(plan: SandboxPlan): void {
    const { rootDirectory, plugin } = plan;
    const isSlotted = rootDirectory === slotSkeletonOf(plugin, this.#paths);
    if (!isSlotted && rootDirectory !== skeletonOf(plugin, this.#paths)) return;
    makeDirectory(dirname(rootDirectory), 0o755);
    makeSkeleton(rootDirectory, isSlotted ? SLOT_LINK : undefined);
    makeMountPoints(plan);
  }

  #step(description: string, command: readonly string[]): Promise<void> {
    this.#steps += 1;
    const name = `bulkhead-step-${process.pid}-${this.#steps}.service`;
    return this.#units.startTransient(stepUnit(name, description, command), STEP_GRACE_MS);
  }
}

const SYSTEMD_CREDS = '/usr/bin/systemd-creds';

/** Who needs a mount: a sandbox under its unit's name, which has no blank in it, or a plan. */
function planOf(plugin: string): string {
  return `plan ${plugin}`;
}

function places(mounts: readonly { readonly where: string }[]): string[] {
  return mounts.map(({ where }) => where);
}

/** Directories where the sandbox has mounts that nothing but the root can have places for. */
function mountPointsOf({ mounts }: SandboxPlan): string[] {
  return mounts.map(({ target }) => target).filter((target) => !/^\/(dev|run)\//.test(target) && target !== HOSTS);
}

/** What an earlier declaration wanted is still there, as an empty directory. */
function makeMountPoints(plan: SandboxPlan): void {
  for (const target of mountPointsOf(plan)) makeDirectory(`${plan.rootDirectory}${target}`, 0o755);
}

function checkMountPoints(plan: SandboxPlan, image: string): void {
  const missing = [...new Set([...ROOT_DIRECTORIES, ...mountPointsOf(plan)])].filter(
    (target) => lstatSync(`${plan.rootDirectory}${target}`, { throwIfNoEntry: false })?.isDirectory() !== true,
  );
  const needsHosts = plan.mounts.some(({ target }) => target === HOSTS);
  if (needsHosts && lstatSync(`${plan.rootDirectory}${HOSTS}`, { throwIfNoEntry: false })?.isFile() !== true)
    throw new Failure('BH311', `'${image}' has no file '${HOSTS}'`);
  if (missing.length > 0) throw new Failure('BH311', `'${image}' has no directory '${missing.join("', '")}'`);
}

function namesBelow(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
