import { Failure } from '../base/failure.ts';
import { printable } from '../base/printable.ts';
import type { Problem } from '../base/problem.ts';
import { formatProblem } from '../base/problem.ts';
import { isVersionName } from '../base/version-name.ts';
import type { WantedVersion } from '../decide/order.ts';
import type { VersionInForce } from '../declare/version-layer.ts';
import { DECLARATION_ROOTS, loadDeclaration } from '../kernel/declaration-files.ts';
import type { Host } from '../kernel/host-facts.ts';
import { hostFactsFor, readHost } from '../kernel/host-facts.ts';
import { readLiveRecord } from '../kernel/live-records.ts';
import type { HostPaths, PluginPlan } from '../plan/plan.ts';
import { planPlugin } from '../plan/plan-plugin.ts';
import type { PlannedVersion } from './plugin-loop.ts';

/** The plan, or why there is none. */
export interface LoadedPlan {
  readonly plan: PluginPlan | undefined;
  readonly problems: readonly Problem[];
  readonly files: readonly string[];
  /** The version that the declaration names, whichever the plan is for. */
  readonly declared: string | undefined;
}

/** Reads the plugin's declaration, for the version in force or the one asked for, and plans it for this host. */
export async function loadPlan(plugin: string, host: Host, asked?: VersionInForce): Promise<LoadedPlan> {
  const { declaration, origins, problems, files, declared } = loadDeclaration(plugin, DECLARATION_ROOTS, asked);
  if (declaration === undefined || problems.length > 0) return { plan: undefined, problems, files, declared };
  const planned = planPlugin(declaration, origins, await hostFactsFor(host, declaration));
  return { plan: planned.plan, problems: planned.problems, files, declared };
}

/**
 * The plan of a version; throws the first problem as a Failure, with the number of the others, and BH427 when there is no
 * version before the one that is live.
 */
export async function requireVersion(
  plugin: string,
  wanted: WantedVersion,
  paths: HostPaths,
  systemdVersion: number,
): Promise<PlannedVersion> {
  const asked =
    wanted === 'declared' ? undefined : { version: versionOf(plugin, wanted), what: 'the version that is asked for' };
  return required(plugin, await loadPlan(plugin, await readHost(paths, systemdVersion), asked));
}

function versionOf(plugin: string, wanted: Exclude<WantedVersion, 'declared'>): string | undefined {
  if (wanted !== 'previous') {
    // It becomes a part of paths.
    if (!isVersionName(wanted.named)) throw new Failure('BH201', `'${printable(wanted.named, 64)}' names no version`);
    return wanted.named;
  }
  const { committed } = readLiveRecord(plugin);
  if (committed === undefined) throw new Failure('BH427', `'${plugin}' was not upgraded yet`);
  return committed.previous;
}

function required(plugin: string, { plan, problems, declared }: LoadedPlan): PlannedVersion {
  if (plan !== undefined) return { plan, declared };
  const first = problems[0];
  if (first === undefined) throw new Failure('BH108', `'${plugin}'`);
  const others = problems.length - 1;
  const more = others === 0 ? '' : ` (and ${others} more: "bulkheadctl check ${plugin}" lists all)`;
  throw new Failure(first.code, `${formatProblem(first).replace(`${first.code} `, '')}${more}`);
}
