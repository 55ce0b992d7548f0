import { asFailure, Failure, type FailureCode } from '../base/failure.ts';
import type { VersionKind, VersionRecord } from '../base/version-record.ts';
import { type InstallStep, installVersion } from '../install/install-version.ts';
import { removeOutlived, removeVersion } from '../install/remove-version.ts';
import { loadDeclaration } from '../kernel/declaration-files.ts';
import { HOST_PATHS } from '../kernel/host-facts.ts';
import { installedVersions } from '../kernel/installed-versions.ts';
import { readLiveRecord, removeLiveRecord } from '../kernel/live-records.ts';
import { sendDatagram } from '../kernel/native.ts';
import { Journal } from '../systemd/journal.ts';
import { caller } from './caller.ts';
import { type VersionRole, versionRoles, whyNeeded } from './version-uses.ts';

/** A version as `bulkheadctl versions` tells of it. */
export interface VersionStatus {
  readonly version: string;
  readonly kind: VersionKind;
  /** What it is needed for; none may be. */
  readonly roles: readonly VersionRole[];
  /** Why an upgrade to it had to be undone. */
  readonly failed: { readonly at: number; readonly code: FailureCode; readonly text: string } | null;
  /** What was written down when it was installed; null when it was not installed by bulkhead. */
  readonly record: VersionRecord | null;
  /** Why the record cannot be read. */
  readonly damage: string | null;
}

/** The versions of this host's plugins. All of it needs root (Failure BH403), and no supervisor. */
export interface VersionStore {
  install(
    plugin: string,
    source: string,
    version: string,
    step: (step: InstallStep) => void,
  ): Promise<{ readonly record: VersionRecord; readonly changed: boolean }>;
  list(plugin: string): readonly VersionStatus[];
  remove(plugin: string, version: string): void;
  /** Removes what `versions.keep` of the declaration does not keep; returns what is gone. */
  removeOld(plugin: string): readonly string[];
  /** Tells the journal what was done, for the time when no supervisor does. */
  tell(plugin: string, text: string): void;
}

export const versionStore: VersionStore = {
  install(plugin, source, version, step) {
    requireRoot();
    return installVersion({ plugin, version, source, by: caller(), at: Date.now() }, { step });
  },
  list(plugin) {
    requireRoot();
    const { failed } = readLiveRecord(plugin);
    const roles = rolesOf(plugin);
    return installedVersions(plugin).map(({ version, kind, record, damage }) => {
      const { at, code, text } = failed.findLast((each) => each.version === version) ?? {};
      return {
        version,
        kind,
        roles: roles.get(version) ?? [],
        failed: at === undefined || code === undefined || text === undefined ? null : { at, code, text },
        record: record ?? null,
        damage: damage?.message ?? null,
      };
    });
  },
  remove(plugin, version) {
    requireRoot();
    try {
      removeVersion(plugin, version, { inUse: () => whyNeeded(rolesOf(plugin)) });
    } finally {
      // Of a plugin that is not declared any more it would outlive everything, and speak of another one of that name. Also
      // when there was nothing to remove: somebody may have been stopped between the two.
      if (installedVersions(plugin).length === 0 && !isDeclared(plugin) && rolesOf(plugin).size === 0)
        removeLiveRecord(plugin);
    }
  },
  removeOld(plugin) {
    requireRoot();
    const { declaration } = loadDeclaration(plugin);
    // What is not declared may be declared again; what cannot be read is left alone.
    if (declaration === undefined) return [];
    return removeOutlived(plugin, declaration.versions.keep, { inUse: () => whyNeeded(rolesOf(plugin)) });
  },
  tell(plugin, text) {
    const journal = new Journal({ sendDatagram, writeLine: () => {}, identifier: 'bulkheadctl' });
    journal.write('info', `'${plugin}': ${text} by ${caller()}`, {
      BULKHEAD_PLUGIN: plugin,
      BULKHEAD_EVENT: 'version',
    });
  },
};

function isDeclared(plugin: string): boolean {
  const { declaration, files } = loadDeclaration(plugin);
  return declaration !== undefined || files.length > 0;
}

/**
 * Where nothing is declared no version is what a rollback leads to, whatever is remembered of upgrades.
 * @throws Failure BH424 when it cannot be known what is needed.
 */
function rolesOf(plugin: string) {
  const { declaration, problems, files } = loadDeclaration(plugin);
  if (declaration === undefined && files.length > 0) {
    const message = `nobody can say which version of '${plugin}' is live: ${problems[0]?.message ?? 'no declaration'}`;
    throw new Failure('BH424', message, { advice: `see "bulkheadctl check ${plugin}"` });
  }
  try {
    const record = declaration === undefined ? undefined : readLiveRecord(plugin);
    return versionRoles(plugin, record, declaration?.version, HOST_PATHS.run);
  } catch (error) {
    const failure = asFailure(error);
    if (failure.code !== 'BH406') throw failure;
    throw new Failure('BH424', `nobody can say which versions of '${plugin}' are needed: ${failure.message}`);
  }
}

function requireRoot(): void {
  if (process.geteuid?.() !== 0) throw new Failure('BH403', 'only root can look at versions and change them');
}
