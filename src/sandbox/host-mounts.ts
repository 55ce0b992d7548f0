import { existsSync, lstatSync, readFileSync, realpathSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { asFailure, Failure } from '../base/failure.ts';
import { deviceNumbers, stampOf } from '../kernel/file-facts.ts';
import { makeDirectory } from '../kernel/files.ts';
import { mountUnitName } from '../plan/host-mounts.ts';
import type { HostMount } from '../plan/plan.ts';
import { hostMountUnit } from '../unit/host-mount.ts';
import type { TransientUnit } from '../unit/transient-unit.ts';

/** The part of systemd that mounts need. */
export interface MountControl {
  startTransient(unit: TransientUnit, timeoutMs: number): Promise<void>;
  /** Stops the unit and waits for it; one that is not there is as good. */
  stopAndWait(unit: string): Promise<void>;
  /** Gives up a failed unit, so that its name is free. */
  reset(unit: string): Promise<void>;
  /** Places of the mount units that systemd has below this directory. */
  mountsBelow(directory: string): Promise<readonly string[]>;
}

const MOUNT_TIMEOUT_MS = 60_000;

const CODES = { none: 'BH310', squashfs: 'BH311', erofs: 'BH311', tmpfs: 'BH313' } as const;

/**
 * Mounts of the host that sandboxes share: each is there from before the first sandbox that needs it until after the
 * last, and as long as a plan in force names it. What is needed follows from records and plans, so that a supervisor
 * that comes after a crash lets go what nobody needs.
 */
export class HostMounts {
  readonly #units: MountControl;
  /** What may be there. */
  readonly #known = new Set<string>();
  /** Who needs what: sandboxes by unit, plans by plugin. */
  readonly #needs = new Map<string, readonly string[]>();
  /** Work on one mount goes one after the other. */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(units: MountControl) {
    this.#units = units;
  }

  /** Until `drop(user)` these stay. */
  need(user: string, places: readonly string[]): void {
    this.#needs.set(user, places);
    for (const where of places) this.#known.add(where);
  }

  /** @returns when all that nobody needs any more has been let go */
  async drop(user: string): Promise<void> {
    this.#needs.delete(user);
    await this.letGo();
  }

  /** Lets go what an earlier supervisor left and nobody needs. */
  async sweep(directory: string): Promise<void> {
    for (const where of await this.#units.mountsBelow(directory)) this.#known.add(where);
    await this.letGo();
  }

  /** Throws BH310, BH311 or BH313 when it cannot be mounted, or is not what was planned. */
  ensure(mount: HostMount): Promise<void> {
    return this.#inTurn(mount.where, () => this.#ensure(mount));
  }

  async #ensure(mount: HostMount): Promise<void> {
    try {
      if (isMounted(mount)) {
        if (mount.stamp === undefined || existsSync(checkedMark(mount.where))) return;
        // A supervisor was killed between mount and check.
        await this.#units.stopAndWait(mountUnitName(mount.where));
      }
      makeDirectory(dirname(mount.where), 0o700);
      makeDirectory(mount.where, 0o755);
      await this.#start(mount);
      await this.#check(mount);
    } catch (error) {
      const { message } = asFailure(error);
      const code = CODES[mount.type];
      throw new Failure(code, `'${mount.what}': ${message}`, { cause: error });
    }
  }

  /** Only what is checked stays mounted: the file may change later, what is mounted does not. */
  async #check(mount: HostMount): Promise<void> {
    if (mount.stamp === undefined) return;
    try {
      checkIdentity(mount, mount.stamp);
      writeFileSync(checkedMark(mount.where), '');
    } catch (error) {
      await this.#units.stopAndWait(mountUnitName(mount.where));
      throw error;
    }
  }

  async #start(mount: HostMount): Promise<void> {
    const unit = hostMountUnit(mount);
    try {
      await this.#units.startTransient(unit, MOUNT_TIMEOUT_MS);
    } catch (error) {
      if (asFailure(error).dbusName !== 'org.freedesktop.systemd1.UnitExists') throw error;
      // It failed before, or what was mounted was unmounted behind systemd's back.
      await this.#units.stopAndWait(unit.name);
      await this.#units.reset(unit.name);
      await this.#units.startTransient(unit, MOUNT_TIMEOUT_MS);
    }
  }

  /** What nobody needs any more. */
  async letGo(): Promise<void> {
    const idle = [...this.#known].filter((where) => !this.#isNeeded(where));
    await Promise.all(
      idle.map((where) =>
        this.#inTurn(where, async () => {
          if (this.#isNeeded(where)) return;
          await this.#units.stopAndWait(mountUnitName(where));
          rmSync(checkedMark(where), { force: true });
          removeDirectory(where);
          this.#known.delete(where);
        }),
      ),
    );
  }

  #isNeeded(where: string): boolean {
    for (const places of this.#needs.values()) if (places.includes(where)) return true;
    return false;
  }

  #inTurn(where: string, work: () => Promise<void>): Promise<void> {
    const before = this.#turns.get(where) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.catch(() => {});
    this.#turns.set(where, settled);
    void settled.then(() => {
      if (this.#turns.get(where) === settled) this.#turns.delete(where);
    });
    return mine;
  }
}

/** Whether something is mounted at the place: of a bind, the very directory; of an image, a file system of its own. */
function isMounted({ where, what, type }: HostMount): boolean {
  const there = statSync(where, { throwIfNoEntry: false });
  if (there === undefined) return false;
  if (type !== 'none') return there.dev !== statSync(dirname(where)).dev;
  const source = statSync(what);
  return there.dev === source.dev && there.ino === source.ino;
}

/**
 * That an image is mounted says nothing of which file it came from: between plan and mount somebody may have put
 * another one in its place. The kernel tells the path that the loop device has open, and the stamp changes with
 * whatever happens to the file, a rename and a rename back among it.
 */
function checkIdentity({ where, what }: HostMount, stamp: string): void {
  const { major, minor } = deviceNumbers(statSync(where).dev);
  const file = readFileSync(`/sys/dev/block/${major}:${minor}/loop/backing_file`, 'utf8').trim();
  if (file !== realpathSync(what) || stampOf(what) !== stamp)
    throw new Failure('BH311', 'it has changed since the plan was made; reload the plugin');
}

/** Beside the mount point: that what is mounted there is what was planned. */
function checkedMark(where: string): string {
  return `${where}.checked`;
}

function removeDirectory(path: string): void {
  try {
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) rmdirSync(path);
  } catch (error) {
    // Still mounted, by somebody else: an empty directory below /run does no harm.
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
  }
}
