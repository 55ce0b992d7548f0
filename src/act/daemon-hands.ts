import type { Clock } from '../base/clock.ts';
import type { Failure } from '../base/failure.ts';
import { asFailure } from '../base/failure.ts';
import type { AnchorWord, Order } from '../decide/order.ts';
import type { PluginState } from '../decide/plugin-state.ts';
import type { HostPaths, PlannedListener, PluginPlan, SlotName } from '../plan/plan.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import { pluginSlice } from '../unit/plugin-slice.ts';
import { requirePlan } from './load-plan.ts';
import type { Hands } from './plugin-loop.ts';
import type { SystemdUnits } from './systemd-units.ts';

/** The plugin's sockets; made in traffic/, which comes after this folder. */
export interface PluginSockets {
  ensure(planned: readonly PlannedListener[]): Promise<void>;
  close(keys: Iterable<string>): void;
}

export interface DaemonHandsParts {
  readonly clock: Clock;
  readonly paths: HostPaths;
  readonly systemdVersion: number;
  readonly units: SystemdUnits;
  readonly sandboxes: Sandboxes;
  readonly sockets: PluginSockets;
  readonly tell: (plugin: string, word: AnchorWord) => void;
  readonly note: (plugin: string, note: Extract<Order, { kind: 'note' }>) => void;
  readonly save: (state: PluginState) => void;
  /** What went wrong in clearing up, and is ignored. */
  readonly ignored: (text: string, failure: Failure) => void;
}

/** Carries out orders on the real machine. */
export class DaemonHands implements Hands {
  readonly #parts: DaemonHandsParts;
  /** Slices that are being given up; a new start of the same plugin waits for the end of it. */
  readonly #retiring = new Map<string, Promise<void>>();

  constructor(parts: DaemonHandsParts) {
    this.#parts = parts;
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  random(): number {
    return Math.random();
  }

  load(plugin: string): Promise<PluginPlan> {
    return requirePlan(plugin, this.#parts.paths, this.#parts.systemdVersion);
  }

  async prepare(plan: PluginPlan): Promise<void> {
    await this.#retiring.get(plan.plugin);
    await this.#parts.sockets.ensure(plan.listeners);
    await this.#parts.units.ensureSlice(pluginSlice(plan));
  }

  retire(plugin: string, plan: PluginPlan | undefined): void {
    if (plan === undefined) return;
    this.#parts.sockets.close(plan.listeners.map(({ key }) => key));
    const dropped = this.#parts.units.dropSlice(plan.sliceUnit).catch((error: unknown) => {
      this.#parts.ignored(`slice '${plan.sliceUnit}' cannot be stopped, ignoring`, asFailure(error));
    });
    this.#retiring.set(plugin, dropped);
    dropped.finally(() => {
      if (this.#retiring.get(plugin) === dropped) this.#retiring.delete(plugin);
    });
  }

  startSandbox(plan: PluginPlan, slot: SlotName, generation: number): Promise<void> {
    return this.#parts.sandboxes.start(plan, slot, generation);
  }

  stopSandbox(unit: string): Promise<void> {
    return this.#parts.sandboxes.stop(unit);
  }

  clearSandbox(unit: string): Promise<void> {
    return this.#parts.sandboxes.clear(unit);
  }

  forgetSandbox(unit: string): void {
    this.#parts.sandboxes.forget(unit);
  }

  tell(plugin: string, word: AnchorWord): void {
    this.#parts.tell(plugin, word);
  }

  note(plugin: string, note: Extract<Order, { kind: 'note' }>): void {
    this.#parts.note(plugin, note);
  }

  save(state: PluginState): void {
    this.#parts.save(state);
  }
}
