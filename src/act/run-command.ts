import { formatDuration } from '../base/duration.ts';
import { asFailure } from '../base/failure.ts';
import type { Manager } from '../systemd/manager.ts';
import { type HostCommand, runUnit, runUnitName } from '../unit/run-unit.ts';

/** How a command ended: its exit status, or -1 when it did not end by itself, or was never run. */
export interface RanCommand {
  readonly status: number;
  readonly text: string;
}

/** systemd works its jobs off one by one when it is loaded. */
const PATIENCE_MS = 30_000;
/** CLD_KILLED and CLD_DUMPED of waitid(2), which ExecMainCode is. */
const SIGNALLED: readonly unknown[] = [2, 3];

/**
 * Commands of declarations, each run once by systemd, which is their parent: a supervisor that is killed meanwhile takes
 * nothing along. The next one finds the unit under its name, and waits on or is told how it ended.
 */
export class RunCommands {
  readonly #manager: Manager;

  constructor(manager: Manager) {
    this.#manager = manager;
  }

  /** Runs the command, or finds that it runs or has run, and waits for its end. */
  async run(order: HostCommand): Promise<RanCommand> {
    const { timeoutMs } = order;
    const { name, properties } = runUnit(order);
    const options = { jobTimeoutMs: timeoutMs + PATIENCE_MS };
    try {
      await this.#manager.startTransientUnit(name, properties, options).catch(async (error: unknown) => {
        if (asFailure(error).dbusName !== 'org.freedesktop.systemd1.UnitExists') throw error;
        const state = await this.#manager.unitProperty(name, 'Unit', 'ActiveState');
        // The job that is under way is the one that is waited for.
        if (state === 'activating') await this.#manager.startUnit(name, options);
      });
      return describeEnd(await this.#manager.unitProperties(name, ['Service']), timeoutMs);
    } catch (error) {
      return { status: -1, text: asFailure(error).message };
    }
  }

  /** What was told of its end is durable now: the unit is not needed any more. */
  async forget(order: HostCommand): Promise<void> {
    const name = runUnitName(order);
    await ifThere(this.#manager.stopUnit(name));
    await ifThere(this.#manager.resetFailed(name));
  }
}

/** A unit that ended well is gone with its stop, and one whose command could not be run may be gone by itself. */
async function ifThere(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (asFailure(error).dbusName !== 'org.freedesktop.systemd1.NoSuchUnit') throw error;
  }
}

/** What the properties of the unit say about its command. */
export function describeEnd(properties: Readonly<Record<string, unknown>>, timeoutMs: number): RanCommand {
  const { Result, ExecMainCode, ExecMainStatus } = properties;
  const status = Number(ExecMainStatus);
  if (Result === 'timeout') return { status: -1, text: `it took longer than ${formatDuration(timeoutMs)}` };
  if (Result === 'success' || Result === 'exit-code') return { status, text: `exit status ${status}` };
  if (SIGNALLED.includes(ExecMainCode)) return { status: -1, text: `killed by signal ${status}` };
  return { status: -1, text: `it could not be run: ${String(Result)}` };
}
