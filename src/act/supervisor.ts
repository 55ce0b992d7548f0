import type { Clock, Owned } from '../base/clock.ts';
import type { Failure } from '../base/failure.ts';
import { asFailure } from '../base/failure.ts';
import { replacedUnkillable } from '../decide/fence.ts';
import type { FoundSandbox, RememberedState } from '../decide/restore.ts';
import { restoreState } from '../decide/restore.ts';
import type { SandboxRecord } from '../sandbox/sandbox-record.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import type { AnchorUnit } from './anchor-units.ts';
import { isWanted } from './anchor-units.ts';
import type { Hands } from './plugin-loop.ts';
import { PluginLoop } from './plugin-loop.ts';

/** A sandbox's unit as systemd lists it. */
export interface SandboxUnitRow {
  readonly unit: string;
  readonly activeState: string;
  /** Monotonic ms when it became active; 0 when it never did. */
  readonly activeSince: number;
}

/** What the supervisor reads from systemd. */
export interface UnitsView {
  anchors(): Promise<readonly AnchorUnit[]>;
  anchor(plugin: string): Promise<AnchorUnit | undefined>;
  sandboxes(): Promise<readonly SandboxUnitRow[]>;
}

export interface SupervisorParts {
  readonly clock: Clock;
  readonly units: UnitsView;
  readonly sandboxes: Sandboxes;
  readonly hands: Hands;
  /** How many sandboxes of the node may be replaced that cannot be killed. */
  readonly mostUnkillable: () => number;
  /** Something odd that changes nothing, for the journal. */
  readonly note: (text: string, failure?: Failure) => void;
}

/** What an earlier supervisor left. */
export interface Legacy {
  readonly states: ReadonlyMap<string, RememberedState>;
  readonly records: readonly SandboxRecord[];
  /** Read ends of report pipes, by unit. */
  readonly reports: ReadonlyMap<string, number>;
}

/** All plugins: takes over what runs, and passes what is seen to the plugin that it concerns. */
export class Supervisor implements Owned {
  readonly #parts: SupervisorParts;
  readonly #loops = new Map<string, PluginLoop>();

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
  }

  get loops(): ReadonlyMap<string, PluginLoop> {
    return this.#loops;
  }

  /**
   * Goes on where the supervisor before this one stopped, whatever it was doing. What runs is read from systemd; the
   * files only tell what was intended with it.
   */
  async takeOver(legacy: Legacy): Promise<void> {
    const { units, sandboxes, hands, note } = this.#parts;
    const [rows, anchors] = await Promise.all([units.sandboxes(), units.anchors()]);
    const running = new Map(rows.filter(isThere).map((row) => [row.unit, row]));
    const recorded = new Set(legacy.records.map(({ unit }) => unit));
    for (const { unit } of rows) {
      if (recorded.has(unit)) continue;
      note(`unit '${unit}' is of no sandbox that was ordered; stopping it`);
      sandboxes.stop(unit).catch((error: unknown) => note(`'${unit}' cannot be stopped, ignoring`, asFailure(error)));
    }
    const wantedNow = anchors.filter(isWanted);
    const plugins = new Set([
      ...[...legacy.states].filter(([, { phase }]) => phase !== 'off').map(([plugin]) => plugin),
      ...legacy.records.map(({ plugin }) => plugin),
      ...wantedNow.map(({ plugin }) => plugin),
    ]);
    const found = legacy.records.map((record) => ({ record, sandbox: this.#found(record, running.get(record.unit)) }));
    for (const { record, sandbox } of found) sandboxes.adopt(record, legacy.reports.get(record.unit), sandbox.life);
    for (const plugin of plugins) {
      const own = found.filter(({ record }) => record.plugin === plugin).map(({ sandbox }) => sandbox);
      const loop = new PluginLoop(restoreState(plugin, legacy.states.get(plugin), own), hands);
      this.#loops.set(plugin, loop);
      const anchor = wantedNow.find((candidate) => candidate.plugin === plugin);
      loop.observe({ kind: 'resumed' });
      if (anchor === undefined) loop.observe({ kind: 'unwanted' });
      else loop.observe(wantedBy(anchor));
    }
    for (const { unit } of legacy.records) if (!running.has(unit)) sandboxes.unitGone(unit);
  }

  /** Names of the plugins that somebody wants now. */
  wanted(): string[] {
    return [...this.#loops].filter(([, { state }]) => state.phase === 'on').map(([plugin]) => plugin);
  }

  /** So many more sandboxes that cannot be killed may be replaced. */
  unkillableRoom(): number {
    const replaced = [...this.#loops.values()].reduce((sum, { state }) => sum + replacedUnkillable(state), 0);
    return Math.max(0, this.#parts.mostUnkillable() - replaced);
  }

  /** The plugin's loop; a plugin that was never heard of gets one in phase `off`. */
  loop(plugin: string): PluginLoop {
    const known = this.#loops.get(plugin);
    if (known !== undefined) return known;
    const loop = new PluginLoop(restoreState(plugin, undefined, []), this.#parts.hands);
    this.#loops.set(plugin, loop);
    return loop;
  }

  /** An anchor connected. Who started it, a person or systemd by itself, is asked only when it is a new one. */
  async anchorSaid(plugin: string, invocation: string): Promise<void> {
    const loop = this.loop(plugin);
    if (loop.state.invocation === invocation) return;
    const anchor = await this.#parts.units.anchor(plugin);
    // It may have been stopped, or replaced, while systemd was asked.
    if (anchor === undefined || !isWanted(anchor) || anchor.invocation !== invocation) return;
    loop.observe({ kind: 'wanted', invocation, automatic: anchor.automaticRestarts > 0 });
  }

  /** An anchor's unit is not active any more, or seems so; systemd is asked, since its signals may be late. */
  async anchorGone(plugin: string): Promise<void> {
    const loop = this.#loops.get(plugin);
    if (loop === undefined || loop.state.invocation === undefined) return;
    const before = loop.state.invocation;
    const anchor = await this.#parts.units.anchor(plugin);
    if (anchor !== undefined && isWanted(anchor)) return;
    // A new anchor may have said hello while systemd was asked.
    if (loop.state.invocation === before) loop.observe({ kind: 'unwanted' });
  }

  /** Events were lost: compares all that is known with what systemd has. */
  async resync(): Promise<void> {
    const { units, sandboxes } = this.#parts;
    const [rows, anchors] = await Promise.all([units.sandboxes(), units.anchors()]);
    const running = new Set(rows.filter(isThere).map(({ unit }) => unit));
    for (const [plugin, loop] of this.#loops) {
      for (const { unit } of loop.state.sandboxes.values()) if (!running.has(unit)) sandboxes.unitNotThere(unit);
      const anchor = anchors.find((candidate) => candidate.plugin === plugin);
      if (loop.state.invocation !== undefined && (anchor === undefined || !isWanted(anchor)))
        await this.anchorGone(plugin);
    }
    for (const anchor of anchors.filter(isWanted)) await this.anchorSaid(anchor.plugin, anchor.invocation);
  }

  #found(record: SandboxRecord, row: SandboxUnitRow | undefined): FoundSandbox {
    const { unit, slot, generation, digest, limits = '', learning = false } = record;
    const stands = row?.activeState;
    const ready = stands === 'active' && this.#parts.sandboxes.isReady(record);
    const life = ready ? 'ready' : stands === 'deactivating' ? 'stopping' : 'starting';
    const readyAt = ready ? row?.activeSince : undefined;
    return { unit, slot, generation, digest, limits, learning, life, isThere: row !== undefined, readyAt };
  }

  release(): void {
    for (const loop of this.#loops.values()) loop.release();
  }
}

function isThere(row: SandboxUnitRow): boolean {
  return row.activeState !== 'inactive' && row.activeState !== 'failed';
}

function wantedBy(anchor: AnchorUnit): { kind: 'wanted'; invocation: string; automatic: boolean } {
  return { kind: 'wanted', invocation: anchor.invocation, automatic: anchor.automaticRestarts > 0 };
}
