import { basename, dirname, resolve } from 'node:path';
import { Failure } from '../base/failure.ts';
import type { Problem } from '../base/problem.ts';
import { formatProblem } from '../base/problem.ts';
import { loadConfiguration, loadConfigurationFile } from '../kernel/configuration-files.ts';
import {
  DECLARATION_ROOTS,
  type DeclarationRoots,
  declaredPlugins,
  type LoadedDeclaration,
  loadDeclaration,
  loadDeclarationFile,
} from '../kernel/declaration-files.ts';
import { HOST_PATHS, type Host, hostFactsFor, readHost } from '../kernel/host-facts.ts';
import { holdsQuota } from '../kernel/room.ts';
import { planState } from '../plan/host-mounts.ts';
import { uidBaseOf } from '../plan/identity.ts';
import type { PluginPlan } from '../plan/plan.ts';
import { planPlugin } from '../plan/plan-plugin.ts';
import { FilterCache, filterPaths } from '../sandbox/filter-cache.ts';
import type { PlanReport } from './api.ts';
import { planReport } from './plan-report.ts';

/** What `bulkheadctl check --json` prints. */
export interface CheckReport {
  readonly targets: readonly CheckedTarget[];
}

export interface CheckedTarget {
  /** The plugin's name or the file's path, as it was given. */
  readonly target: string;
  readonly files: readonly string[];
  readonly problems: readonly Problem[];
}

/**
 * Checks declarations as the supervisor would: read, then planned for this host, then the lists of their
 * filters. No target means bulkhead's own configuration and every declared plugin.
 * @throws Failure BH404 for a plugin that nothing declares.
 */
export async function checkOffline(
  targets: readonly string[],
  roots: DeclarationRoots = DECLARATION_ROOTS,
): Promise<CheckReport> {
  const declared = declaredPlugins(roots);
  const host = await readHost();
  const filters = new FilterCache(filterPaths(HOST_PATHS));
  const checked: CheckedTarget[] = [];
  if (targets.length === 0) {
    const { files, problems } = loadConfiguration();
    const [target] = files;
    if (target !== undefined) checked.push({ target, files, problems });
  }
  for (const target of targets.length === 0 ? declared : targets) {
    if (isConfiguration(target)) {
      const { files, problems } = loadConfigurationFile(resolve(target));
      checked.push({ target, files, problems });
      continue;
    }
    const loaded = load(target, roots);
    if (isUndeclared(loaded)) throw new Failure('BH404', `'${target}'`, { advice: notDeclared(target) });
    const { plan: made, problems } = await plan(loaded, host);
    const filter = made === undefined ? [] : await filters.problems(made.seccomp);
    checked.push({ target, files: loaded.files, problems: [...problems, ...filter] });
  }
  return { targets: checked };
}

/** A plan from the declaration alone, with the names that the plugin's first sandbox would get. */
export async function planOffline(name: string, roots: DeclarationRoots = DECLARATION_ROOTS): Promise<PlanReport> {
  const loaded = loadDeclaration(name, roots);
  if (isUndeclared(loaded)) throw new Failure('BH404', `'${name}'`, { advice: notDeclared(name) });
  const { plan: made, problems } = await plan(loaded, await readHost());
  const [first] = problems;
  if (made === undefined) {
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
    const text = first === undefined ? 'the declaration has problems' : formatProblem(first);
    throw new Failure('BH407', `${text}${more}`, { advice: `see "bulkheadctl check ${name}"` });
  }
  const state = planState(made.declaration, HOST_PATHS);
  return planReport(made, HOST_PATHS, {
    differences: undefined,
    reload: null,
    nextGeneration: 1,
    uidBase: uidBaseOf(0),
    quotaHolds: state === undefined ? undefined : holdsQuota(state.directory, state.quota),
  });
}

/** A file bulkhead.yaml is bulkhead's own, but where declarations are. */
function isConfiguration(target: string): boolean {
  const path = resolve(target);
  return target.endsWith('.yaml') && basename(path) === 'bulkhead.yaml' && basename(dirname(path)) !== 'plugins';
}

function load(target: string, roots: DeclarationRoots): LoadedDeclaration {
  if (!target.includes('/') && !target.endsWith('.yaml')) return loadDeclaration(target, roots);
  const path = resolve(target);
  return loadDeclarationFile(basename(path).replace(/\.yaml$/, ''), path, roots);
}

/** Nothing at all declares it; a masked plugin is declared, in a way, and keeps its own message. */
function isUndeclared({ files, problems }: LoadedDeclaration): boolean {
  return files.length === 0 && problems.some(({ code, message }) => code === 'BH108' && !message.includes('masked'));
}

function notDeclared(name: string): string {
  return `write /etc/bulkhead/plugins/${name}.yaml, or name the file itself`;
}

async function plan(
  loaded: LoadedDeclaration,
  host: Host,
): Promise<{ plan?: PluginPlan; problems: readonly Problem[] }> {
  const { declaration, origins, problems } = loaded;
  if (declaration === undefined) return { problems };
  return planPlugin(declaration, origins, await hostFactsFor(host, declaration));
}
