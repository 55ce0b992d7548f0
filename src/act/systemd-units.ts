import { Failure } from '../base/failure.ts';
import { anchorUnitName, parseAnchorUnit, parseSandboxUnit, SANDBOX_UNIT_PATTERNS } from '../plan/identity.ts';
import { escapeUnitPath, unescapeUnitName } from '../plan/unit-name.ts';
import type { MountControl } from '../sandbox/host-mounts.ts';
import type { UnitControl } from '../sandbox/starter.ts';
import { lastErrorOf } from '../systemd/journal-tail.ts';
import type { Manager } from '../systemd/manager.ts';
import { administratorLimits } from '../unit/administrator-limits.ts';
import { anew } from '../unit/live-properties.ts';
import type { BusProperty } from '../unit/properties.ts';
import type { TransientUnit } from '../unit/transient-unit.ts';
import type { AnchorUnit } from './anchor-units.ts';
import type { SandboxUnitRow, UnitsView } from './supervisor.ts';

/** systemd's words for what sandboxes, slices and the take-over need. */
export class SystemdUnits implements UnitControl, MountControl, UnitsView {
  readonly #manager: Manager;

  constructor(manager: Manager) {
    this.#manager = manager;
  }

  async startTransient(unit: TransientUnit, timeoutMs: number): Promise<void> {
    const result = await this.#manager.startTransientUnit(unit.name, unit.properties, { jobTimeoutMs: timeoutMs });
    if (result === 'done') return;
    const why = await lastErrorOf(unit.name);
    throw new Failure('BH506', `start of '${unit.name}': ${result}${why === undefined ? '' : `: ${why}`}`);
  }

  async stopAndWait(unit: string): Promise<void> {
    try {
      await this.#manager.stopUnit(unit);
    } catch (error) {
      if (!(error instanceof Failure) || error.dbusName !== 'org.freedesktop.systemd1.NoSuchUnit') throw error;
    }
  }

  async reset(unit: string): Promise<void> {
    try {
      await this.#manager.resetFailed(unit);
    } catch (error) {
      if (!(error instanceof Failure) || error.dbusName !== 'org.freedesktop.systemd1.NoSuchUnit') throw error;
    }
  }

  async mountsBelow(directory: string): Promise<readonly string[]> {
    const rows = await this.#manager.listUnitsByPatterns([`${escapeUnitPath(directory)}-*.mount`]);
    const places = rows.map(({ unit }) => unescapeUnitName(unit.slice(0, -'.mount'.length)));
    return places.flatMap((place) => (place === undefined ? [] : [`/${place}`]));
  }

  async stop(unit: string): Promise<void> {
    await this.#manager.stopUnit(unit, { wait: false });
  }

  async setLimits(unit: string, properties: readonly BusProperty[]): Promise<void> {
    await this.#manager.setUnitProperties(unit, true, properties);
  }

  /** Makes the slice, or gives an existing one these limits. */
  async ensureSlice(slice: TransientUnit): Promise<void> {
    try {
      await this.#manager.startTransientUnit(slice.name, slice.properties);
    } catch (error) {
      if (!(error instanceof Failure) || error.dbusName !== 'org.freedesktop.systemd1.UnitExists') throw error;
      const changeable = slice.properties.filter(([name]) => name !== 'Description' && name !== 'CollectMode');
      await this.#manager.setUnitProperties(slice.name, true, anew(changeable));
    }
  }

  /** Lets the slice go, with the settings that were changed on it; nothing to do when it is not there. */
  async dropSlice(slice: string): Promise<void> {
    try {
      await this.#manager.stopUnit(slice);
      await this.#manager.revertUnitFiles([slice]);
    } catch (error) {
      if (!(error instanceof Failure) || error.dbusName !== 'org.freedesktop.systemd1.NoSuchUnit') throw error;
    }
  }

  /**
   * What an administrator set for the plugin's anchor by `systemctl edit` or `systemctl set-property`, and what
   * therefore holds for the plugin as a whole: settings of its slice.
   */
  async anchorLimits(plugin: string): Promise<readonly BusProperty[]> {
    const [properties, defaultTasks] = await Promise.all([
      this.#manager.unitProperties(anchorUnitName(plugin), ['Service']),
      this.#manager.defaultTasksMax(),
    ]);
    return administratorLimits(properties, defaultTasks);
  }

  async anchors(): Promise<readonly AnchorUnit[]> {
    const rows = await this.#manager.listUnitsByPatterns(['plugin@*.service']);
    const plugins = rows.map(({ unit }) => parseAnchorUnit(unit)).filter((plugin) => plugin !== undefined);
    const anchors = await Promise.all(plugins.map((plugin) => this.anchor(plugin)));
    return anchors.filter((anchor) => anchor !== undefined);
  }

  async anchor(plugin: string): Promise<AnchorUnit | undefined> {
    const unit = anchorUnitName(plugin);
    // One by one: all properties of a service are 20 kB.
    const [loaded, activeState, subState, invocation, restarts] = await Promise.all([
      this.#manager.unitProperty(unit, 'Unit', 'LoadState'),
      this.#manager.unitProperty(unit, 'Unit', 'ActiveState'),
      this.#manager.unitProperty(unit, 'Unit', 'SubState'),
      this.#manager.unitProperty(unit, 'Unit', 'InvocationID'),
      this.#manager.unitProperty(unit, 'Service', 'NRestarts'),
    ]);
    if (loaded !== 'loaded') return undefined;
    return {
      plugin,
      activeState: String(activeState),
      subState: String(subState),
      invocation: hexadecimal(invocation),
      automaticRestarts: Number(restarts),
    };
  }

  async sandboxes(): Promise<readonly SandboxUnitRow[]> {
    const rows = await this.#manager.listUnitsByPatterns(SANDBOX_UNIT_PATTERNS);
    const ours = rows.filter(({ unit }) => parseSandboxUnit(unit) !== undefined);
    return Promise.all(
      ours.map(async ({ unit, activeState }) => {
        const since = activeState === 'active' ? await this.#activeSince(unit) : 0;
        return { unit, activeState, activeSince: since };
      }),
    );
  }

  /** Monotonic ms since boot, like our own clock. */
  async #activeSince(unit: string): Promise<number> {
    const usec = await this.#manager.unitProperty(unit, 'Unit', 'ActiveEnterTimestampMonotonic');
    return Number(usec) / 1000;
  }
}

/** An id as systemd gives it: 16 bytes. */
function hexadecimal(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return Array.isArray(value) ? Buffer.from(value as number[]).toString('hex') : '';
}
