import { type LiveRecord, NO_LIVE_RECORD, versionInForce } from '../base/live-record.ts';
import { isVersionName } from '../base/version-name.ts';
import { namesIn, readFileIfThere } from '../kernel/files.ts';

/** What one version is to its plugin, in the order in which it is told. */
export type VersionRole = 'live' | 'previous' | 'under way' | 'running';

const WORDS: Readonly<Record<VersionRole, string>> = {
  live: 'is live',
  previous: 'is what a rollback leads to',
  'under way': 'is what a change of version is about',
  running: 'is what a sandbox runs',
};

export type VersionRoles = ReadonlyMap<string, readonly VersionRole[]>;

/**
 * What the versions of a plugin are needed for: by what is remembered of upgrades, by the declaration, by the plan that is
 * in force, and by sandboxes, as their records say. Needs no supervisor. Throws when one of these cannot be read: then
 * nobody can say that a version is not needed.
 * @param record undefined where nothing declares the plugin: then nobody goes back to anything, once it has ended
 */
export function versionRoles(
  plugin: string,
  record: LiveRecord | undefined,
  declared: string | undefined,
  run: string,
): VersionRoles {
  const roles = new Map<string, VersionRole[]>();
  const add = (version: unknown, role: VersionRole): void => {
    if (typeof version !== 'string' || !isVersionName(version)) return;
    const known = roles.get(version) ?? [];
    if (!known.includes(role)) roles.set(version, [...known, role]);
  };
  const state = parse(readFileIfThere(`${run}/plugin/${plugin}.json`));
  const isOff = at(state, 'phase') === 'off';
  const { committed, underWay } = record ?? NO_LIVE_RECORD;
  add(versionInForce(record ?? NO_LIVE_RECORD, declared), 'live');
  if (!isOff) add(at(at(state, 'plan'), 'version'), 'live');
  add(committed?.previous, 'previous');
  if (!isOff || record !== undefined) add(at(at(state, 'previous'), 'version'), 'previous');
  add(underWay?.version, 'under way');
  add(at(at(at(state, 'upgrade'), 'plan'), 'version'), 'under way');
  for (const name of namesIn(`${run}/sandbox`, '.json')) {
    const sandbox = parse(readFileIfThere(`${run}/sandbox/${name}`));
    if (at(sandbox, 'plugin') === plugin) add(at(sandbox, 'version'), 'running');
  }
  return roles;
}

/** By version: why it may not be removed. */
export function whyNeeded(roles: VersionRoles): ReadonlyMap<string, string> {
  return new Map([...roles].flatMap(([version, [first]]) => (first === undefined ? [] : [[version, WORDS[first]]])));
}

function parse(text: string | undefined): unknown {
  return text === undefined ? undefined : JSON.parse(text);
}

function at(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}
