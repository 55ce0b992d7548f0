import type { Supervisor as Plugins } from '../act/supervisor.ts';
import type { Clock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import type { PluginState } from '../decide/plugin-state.ts';
import { initialState } from '../decide/plugin-state.ts';
import { wayOf } from '../decide/upgrade-line.ts';
import { installedVersions } from '../kernel/installed-versions.ts';
import { readLiveRecord } from '../kernel/live-records.ts';
import type { Caller } from './api.ts';
import type { UpgradeOptions, UpgradeReport } from './upgrade-api.ts';
import { upgradeReport } from './upgrade-report.ts';

export interface UpgradeDeskParts {
  readonly clock: Clock;
  readonly plugins: Plugins;
}

/** Most names of versions in a message. */
const MOST_NAMED = 8;

/** Changes of version, as people ask for them and see them. What can be refused at once is. */
export class UpgradeDesk {
  readonly #parts: UpgradeDeskParts;

  constructor(parts: UpgradeDeskParts) {
    this.#parts = parts;
  }

  /** @throws Failure BH201, BH410 or BH425 */
  upgrade(name: string, version: string, options: UpgradeOptions, { uid }: Caller): string {
    const loop = this.#parts.plugins.loops.get(name);
    if (loop?.state.phase !== 'on') throw new Failure('BH410', `'${name}'`);
    requireNoneUnderWay(loop.state);
    if (version !== '') requireInstalled(name, version);
    const { why, ...asked } = options;
    const by = `uid ${uid}`;
    loop.observe({
      kind: 'upgrade-asked',
      version: version === '' ? undefined : version,
      by,
      why,
      options: asked,
    });
    return idOf(loop.state, name);
  }

  /** @throws Failure BH410 or BH427 */
  rollback(name: string, why: string, { uid }: Caller): string {
    const loop = this.#parts.plugins.loops.get(name);
    if (loop?.state.phase !== 'on') throw new Failure('BH410', `'${name}'`);
    requirePrevious(loop.state);
    loop.observe({ kind: 'rollback-asked', by: `uid ${uid}`, why: why === '' ? undefined : why });
    return idOf(loop.state, name);
  }

  report(name: string): UpgradeReport {
    const { plugins, clock } = this.#parts;
    return upgradeReport(plugins.loops.get(name)?.state ?? initialState(name), clock.now());
  }
}

function requireNoneUnderWay({ plugin, upgrade }: PluginState): void {
  if (upgrade !== undefined)
    throw new Failure('BH425', `'${plugin}': ${upgrade.id}, ${wayOf(upgrade)}, ${upgrade.step}`);
}

/** After a reboot only the durable record knows. */
function requirePrevious({ plugin, upgrade, previous }: PluginState): void {
  if (upgrade !== undefined || previous !== undefined) return;
  if (readLiveRecord(plugin).committed?.previous === undefined) throw new Failure('BH427', `'${plugin}'`);
}

/** Before anything is done about a name that is wrong. */
function requireInstalled(name: string, version: string): void {
  const installed = installedVersions(name).map((each) => each.version);
  if (installed.includes(version)) return;
  const named = installed.slice(-MOST_NAMED).map((each) => `'${each}'`);
  const others = named.length === 0 ? 'none is' : `installed: ${named.join(', ')}`;
  throw new Failure('BH201', `'${name}' has no version '${version}'; ${others}`, {
    advice: `"bulkheadctl install ${name} DIRECTORY --version ${version}" installs it`,
  });
}

/** Of the change that was decided just now. */
function idOf({ upgrade, lastUpgrade }: PluginState, name: string): string {
  const id = upgrade?.id ?? lastUpgrade?.id;
  if (id === undefined) throw new Failure('BH429', `'${name}'`);
  return id;
}
