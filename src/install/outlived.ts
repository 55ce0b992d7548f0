import type { InstalledVersion } from '../kernel/installed-versions.ts';

/**
 * Which versions may go: those that are not among the newest `keep` and that nobody needs. What we have not installed is
 * not ours to remove.
 */
export function outlivedVersions(
  versions: readonly Pick<InstalledVersion, 'version' | 'record'>[],
  inUse: ReadonlySet<string>,
  keep: number,
): string[] {
  return versions
    .flatMap(({ record }) => record ?? [])
    .sort((one, other) => other.installedAt - one.installedAt || (one.version < other.version ? 1 : -1))
    .slice(keep)
    .map(({ version }) => version)
    .filter((version) => !inUse.has(version));
}
