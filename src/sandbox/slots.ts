import { statSync } from 'node:fs';
import { asFailure, Failure } from '../base/failure.ts';
import { namesIn } from '../kernel/files.ts';
import { initsInSlot } from '../kernel/slot-inits.ts';
import type { HostPaths, SandboxPlan, SlotName } from '../plan/plan.ts';
import { versionDirectory } from '../plan/sandbox-view.ts';
import { liveInTunnel, slotTunnel } from '../plan/slot.ts';

/** Has systemd run a program, with the privileges that the supervisor does not have. */
export type RunStep = (description: string, command: readonly string[]) => Promise<void>;

const SLOTS = ['a', 'b'] as const;

/** What is to be live in the tunnel of a slot. */
type LiveVersion = Pick<SandboxPlan, 'plugin' | 'slot' | 'version'>;

/**
 * The tunnels of plugins that are upgraded in place: which version is live in each. What is mounted is the truth, and
 * survives the supervisor; what a plan says holds for a tunnel until its version is switched.
 */
export class Slots {
  readonly #paths: HostPaths;
  readonly #run: RunStep;
  /** Tunnels whose version was switched, or was there before us: whatever a plan says, they stay as they are. */
  readonly #kept = new Set<string>();
  /** Versions of the plans in force, by tunnel. */
  readonly #planned = new Map<string, string | undefined>();
  /** Work on one tunnel goes one after the other. */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(paths: HostPaths, run: RunStep) {
    this.#paths = paths;
    this.#run = run;
  }

  /** This version is planned from now on. Another one than before also undoes what was switched. */
  planned(plugin: string, slot: SlotName, version: string | undefined): void {
    const tunnel = slotTunnel(plugin, slot, this.#paths);
    if (this.#planned.has(tunnel) && this.#planned.get(tunnel) !== version) this.#kept.delete(tunnel);
    this.#planned.set(tunnel, version);
  }

  /** A sandbox of an earlier supervisor is in that slot, and may look at what is live there. */
  adopted(plugin: string, slot: SlotName): void {
    this.#kept.add(slotTunnel(plugin, slot, this.#paths));
  }

  /** Before a sandbox that has the tunnel is started: something is live there, the planned version unless it was switched. */
  prepare({ plugin, slot, version }: LiveVersion): Promise<void> {
    const tunnel = slotTunnel(plugin, slot, this.#paths);
    return this.#inTurn(tunnel, async () => {
      if (this.#kept.has(tunnel) ? isMounted(tunnel) : this.#isLive(tunnel, plugin, version)) return;
      await this.#ensure(tunnel, { plugin, slot, version });
    });
  }

  /** All that have the tunnel see this version when it returns. Throws BH340. */
  switch(wanted: LiveVersion): Promise<void> {
    const tunnel = slotTunnel(wanted.plugin, wanted.slot, this.#paths);
    return this.#inTurn(tunnel, async () => {
      this.#kept.add(tunnel);
      await this.#ensure(tunnel, wanted);
    });
  }

  /** No sandbox of the plugin is left. */
  async retire(plugin: string): Promise<void> {
    for (const slot of SLOTS) {
      const tunnel = slotTunnel(plugin, slot, this.#paths);
      this.#kept.delete(tunnel);
      this.#planned.delete(tunnel);
      await this.#inTurn(tunnel, async () => {
        if (this.#planned.has(tunnel) || identityOf(tunnel) === undefined) return;
        await this.#run(`Tunnel ${tunnel}`, [this.#program, 'clear', tunnel]);
      });
    }
  }

  /** Clears what an earlier supervisor left of plugins that have no plan any more. */
  async sweep(): Promise<void> {
    for (const plugin of namesIn(`${this.#paths.run}/slot`, ''))
      if (!SLOTS.some((slot) => this.#planned.has(slotTunnel(plugin, slot, this.#paths)))) await this.retire(plugin);
  }

  /** What a switch leaves behind is one version on top: whether it did is looked at, not believed. */
  async #ensure(tunnel: string, { plugin, slot, version }: LiveVersion): Promise<void> {
    if (version === undefined) throw new Failure('BH340', `'${plugin}' has no version`);
    const directory = versionDirectory(plugin, version, this.#paths);
    try {
      // Also what seems to be done: a switch that was killed may have left something beneath, or covers in sandboxes.
      const told = initsInSlot(plugin, slot).flatMap((pid) => ['--leader', String(pid)]);
      await this.#run(`Version ${version} of ${plugin}`, [this.#program, 'switch', tunnel, directory, ...told]);
      if (!this.#isLive(tunnel, plugin, version)) throw new Error('another one is mounted');
    } catch (error) {
      throw new Failure('BH340', `'${directory}': ${asFailure(error).message}`, { cause: error });
    }
  }

  #isLive(tunnel: string, plugin: string, version: string | undefined): boolean {
    const live = identityOf(liveInTunnel(tunnel));
    return (
      live !== undefined && version !== undefined && live === identityOf(versionDirectory(plugin, version, this.#paths))
    );
  }

  get #program(): string {
    return `${this.#paths.lib}/plugin-slot`;
  }

  #inTurn(tunnel: string, work: () => Promise<void>): Promise<void> {
    const before = this.#turns.get(tunnel) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.catch(() => {});
    this.#turns.set(tunnel, settled);
    void settled.then(() => {
      if (this.#turns.get(tunnel) === settled) this.#turns.delete(tunnel);
    });
    return mine;
  }
}

/** Whether any version is live in the tunnel, which is in memory as no version is. */
function isMounted(tunnel: string): boolean {
  const live = statSync(liveInTunnel(tunnel), { throwIfNoEntry: false });
  return live !== undefined && live.dev !== statSync(tunnel).dev;
}

/** Which directory it is, by whatever path; undefined for none. */
function identityOf(path: string): string | undefined {
  const there = statSync(path, { bigint: true, throwIfNoEntry: false });
  return there === undefined ? undefined : `${there.dev}:${there.ino}`;
}
