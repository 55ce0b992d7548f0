import type { Clock } from '../base/clock.ts';
import { asFailure, Failure, type FailureCode } from '../base/failure.ts';
import type { Manager } from './manager.ts';
import type { UpgradeOutcomeStatus, UpgradeReport, UpgradeStatus } from './upgrade-api.ts';

/** Between two looks, ms: often enough for eyes; the supervisor answers from memory. */
const EVERY_MS = 300;

/** What is away for now comes back: the supervisor, or the bus. */
const AWAY: readonly FailureCode[] = ['BH402', 'BH501', 'BH502', 'BH507'];

export interface UpgradeWatcher {
  /** Called with each look, whether or not something has changed. */
  seen(upgrade: UpgradeStatus): void;
  /** The supervisor does not answer; a sandbox serves on all the same. */
  away(): void;
}

export interface Follow {
  readonly manager: Pick<Manager, 'upgradeReport'>;
  readonly clock: Clock;
  readonly plugin: string;
  readonly id: string;
  /** Resolves when the user does not want to see more. */
  readonly interrupted: Promise<void>;
}

/**
 * Looks at one change of version until it is over, through restarts of the supervisor. `detached` when the user was the
 * first to end. @throws Failure BH429 when its end is not remembered.
 */
export async function followUpgrade(what: Follow, watcher: UpgradeWatcher): Promise<UpgradeOutcomeStatus | 'detached'> {
  const interrupted = what.interrupted.then(() => 'detached' as const);
  for (;;) {
    const report = await look(what);
    if (report === undefined) watcher.away();
    else {
      const { upgrade, lastUpgrade } = report;
      if (upgrade?.id === what.id) watcher.seen(upgrade);
      else if (lastUpgrade?.id === what.id) return lastUpgrade;
      else throw new Failure('BH429', `'${what.id}' is over, and what became of it is not remembered`);
    }
    if ((await Promise.race([interrupted, pause(what.clock)])) === 'detached') return 'detached';
  }
}

async function look({ manager, plugin }: Follow): Promise<UpgradeReport | undefined> {
  try {
    return await manager.upgradeReport(plugin);
  } catch (thrown) {
    const failure = asFailure(thrown);
    if (AWAY.includes(failure.code)) return undefined;
    throw failure;
  }
}

function pause(clock: Clock): Promise<'again'> {
  return new Promise((resolve) => {
    clock.after(EVERY_MS, () => resolve('again'));
  });
}
