import type { Owned } from '../base/clock.ts';
import type { BySlot, PlannedListener, Weights } from '../plan/plan.ts';
import type { Listeners, Moved } from './listeners.ts';
import { Stragglers, type StragglersParts } from './stragglers.ts';

/** The sockets of plugins, and those who wait at one that nobody accepts from any more. */
export class Traffic implements Owned {
  readonly #listeners: Listeners;
  readonly #stragglers: Stragglers;

  constructor(listeners: Listeners, parts: Omit<StragglersParts, 'left'>) {
    this.#listeners = listeners;
    this.#stragglers = new Stragglers({ ...parts, left: (plugin, slot) => listeners.left(plugin, slot) });
  }

  async ensure(plugin: string, sides: BySlot<readonly PlannedListener[]>, weights: Weights): Promise<void> {
    this.#follow(plugin, await this.#listeners.ensure(plugin, sides, weights));
  }

  weigh(plugin: string, weights: Weights): void {
    this.#follow(plugin, this.#listeners.weigh(plugin, weights));
  }

  async closeAll(plugin: string): Promise<void> {
    await this.#stragglers.end(plugin);
    this.#listeners.closeAll(plugin);
  }

  /** How many were answered who had waited at a slot that was not served any more, as far as this supervisor knows. */
  stragglers(plugin: string): number {
    return this.#stragglers.found(plugin);
  }

  /** What the launcher of a unit that looks after them gets; undefined for other units. */
  descriptorsFor(unit: string): { readonly fds: readonly number[] } | undefined {
    return this.#stragglers.descriptorsFor(unit);
  }

  release(): void {
    this.#stragglers.release();
  }

  #follow(plugin: string, moved: Moved): void {
    for (const slot of moved.filled) this.#stragglers.leave(plugin, slot);
    for (const slot of moved.emptied) this.#stragglers.follow(plugin, slot);
  }
}
