import { Failure } from '../base/failure.ts';
import type { Problem } from '../base/problem.ts';
import { formatProblem } from '../base/problem.ts';
import { loadDeclaration } from '../kernel/declaration-files.ts';
import type { Host } from '../kernel/host-facts.ts';
import { hostFactsFor, readHost } from '../kernel/host-facts.ts';
import type { HostPaths, PluginPlan } from '../plan/plan.ts';
import { planPlugin } from '../plan/plan-plugin.ts';

/** The plan, or why there is none. */
export interface LoadedPlan {
  readonly plan: PluginPlan | undefined;
  readonly problems: readonly Problem[];
  readonly files: readonly string[];
}

/** Reads the plugin's declaration and plans it for this host. */
export async function loadPlan(plugin: string, host: Host): Promise<LoadedPlan> {
  const { declaration, origins, problems, files } = loadDeclaration(plugin);
  if (declaration === undefined || problems.length > 0) return { plan: undefined, problems, files };
  const planned = planPlugin(declaration, origins, await hostFactsFor(host, declaration));
  return { plan: planned.plan, problems: planned.problems, files };
}

/** The plan; throws the first problem as a Failure, with the number of the others. */
export async function requirePlan(plugin: string, paths: HostPaths, systemdVersion: number): Promise<PluginPlan> {
  const { plan, problems } = await loadPlan(plugin, await readHost(paths, systemdVersion));
  if (plan !== undefined) return plan;
  const first = problems[0];
  if (first === undefined) throw new Failure('BH108', `'${plugin}'`);
  const others = problems.length - 1;
  const more = others === 0 ? '' : ` (and ${others} more: "bulkheadctl check ${plugin}" lists all)`;
  throw new Failure(first.code, `${formatProblem(first).replace(`${first.code} `, '')}${more}`);
}
