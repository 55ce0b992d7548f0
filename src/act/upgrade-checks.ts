import { asFailure, Failure } from '../base/failure.ts';
import type { Order } from '../decide/order.ts';
import type { PluginState } from '../decide/plugin-state.ts';
import type { RunCommands } from './run-command.ts';
import { promisedTo, requireRoom } from './upgrade-room.ts';

export type VerifyOrder = Extract<Order, { kind: 'verify' }>;

export interface UpgradeChecksParts {
  readonly commands: Pick<RunCommands, 'run' | 'forget'>;
  /** Throws a Failure that says how the version differs from what was installed. */
  readonly verifyVersion: (plugin: string, version: string) => Promise<void>;
  /** States of all plugins. */
  readonly states: () => Iterable<PluginState>;
  /** Bytes that a sandbox has in memory; 0 where that is not known. */
  readonly memoryUsed: (unit: string) => number;
  /** Bytes that programs could take now. */
  readonly memoryAvailable: () => number;
}

/**
 * What is looked at before a second side is started: versions as they were installed, the command of the declaration,
 * and memory for both sides, together with all other plugins' second sides.
 */
export class UpgradeChecks {
  readonly #parts: UpgradeChecksParts;
  /** Ids of changes that were let through and that a state may not say so of yet. */
  readonly #admitted = new Set<string>();

  constructor(parts: UpgradeChecksParts) {
    this.#parts = parts;
  }

  /**
   * Resolves to why there is no way back, if there is none and that is borne.
   * @throws Failure that says why the plan may not be started beside the live one
   */
  async verify(order: VerifyOrder): Promise<Failure | undefined> {
    const { plan, upgrade } = order;
    if (plan.version !== undefined) await this.#parts.verifyVersion(plan.plugin, plan.version);
    if (upgrade === 'rollback') return undefined;
    const noWayBack = await this.#requireWayBack(order);
    await this.#preCheck(order);
    this.#requireRoom(order);
    return noWayBack;
  }

  async #requireWayBack({ plan, from, force }: VerifyOrder): Promise<Failure | undefined> {
    if (from.version === undefined || from.version === plan.version) return undefined;
    try {
      await this.#parts.verifyVersion(plan.plugin, from.version);
      return undefined;
    } catch (thrown) {
      const { code, message } = asFailure(thrown);
      if (force) return new Failure(code, message);
      const text = `${message}; it is what serves, so there would be no way back: "bulkheadctl upgrade ${plan.plugin} --force" goes all the same`;
      throw new Failure(code, text, { cause: thrown });
    }
  }

  async #preCheck({ id, plan, from }: VerifyOrder): Promise<void> {
    const { check, checkTimeoutMs } = plan.declaration.upgrade;
    if (check.length === 0) return;
    const environment = {
      BULKHEAD_PLUGIN: plan.plugin,
      BULKHEAD_VERSION: plan.version ?? '',
      BULKHEAD_FROM: from.version ?? '',
    };
    const command = { upgrade: id, words: check, timeoutMs: checkTimeoutMs, environment };
    const { status, text } = await this.#parts.commands.run(command);
    await this.#parts.commands.forget(command);
    if (status !== 0) throw new Failure('BH430', `'${check[0]}': ${text}`);
  }

  /** Nothing is waited for in between, so that two plugins are not promised the same. */
  #requireRoom({ id, plan, surge }: VerifyOrder): void {
    const { states, memoryUsed, memoryAvailable } = this.#parts;
    const all = [...states()];
    const underWay = new Set(all.map(({ upgrade }) => upgrade?.id));
    for (const admitted of this.#admitted) if (!underWay.has(admitted)) this.#admitted.delete(admitted);
    const promised = all
      .filter(({ plugin }) => plugin !== plan.plugin)
      .map((state) => promisedTo(state, (upgrade) => this.#admitted.has(upgrade.id), memoryUsed))
      .filter((each) => each !== undefined);
    requireRoom(plan, surge, memoryAvailable(), promised);
    this.#admitted.add(id);
  }
}
