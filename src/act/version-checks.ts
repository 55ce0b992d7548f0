import { open } from 'node:fs/promises';
import { asFailure, Failure } from '../base/failure.ts';
import { parseVersionCheck, type VersionCheck } from '../base/version-check.ts';
import type { Configuration } from '../declare/configuration.ts';
import { removeFile, replaceFile } from '../kernel/files.ts';
import { installedVersion, VERSION_PLACES, type VersionPlaces } from '../kernel/installed-versions.ts';
import { digestText } from '../plan/digest.ts';
import type { HostPaths, PluginPlan } from '../plan/plan.ts';
import { versionDirectory } from '../plan/sandbox-view.ts';
import { lastErrorOf } from '../systemd/journal-tail.ts';
import type { Manager } from '../systemd/manager.ts';
import { oldVersionsUnit } from '../unit/old-versions-unit.ts';

/** Longer than the limit of the unit, and what systemd takes for the end. */
const CHECK_MS = 11 * 60_000;
const REMOVAL_MS = 11 * 60_000;
/** No answer of ours comes near it. */
const MOST_ANSWER_BYTES = 65_536;

export interface VersionChecksParts {
  readonly manager: Pick<Manager, 'startUnit' | 'startTransientUnit'>;
  readonly paths: HostPaths;
  readonly configuration: () => Configuration;
  readonly places?: VersionPlaces;
}

/**
 * Looks after installed versions for the supervisor, which may not change them, and has no time to read them: what is to be
 * done is done by units.
 */
export class VersionChecks {
  readonly #parts: VersionChecksParts;
  /** Comparisons that are under way, by plugin and version. */
  readonly #running = new Map<string, Promise<VersionCheck>>();

  constructor(parts: VersionChecksParts) {
    this.#parts = parts;
  }

  /**
   * Resolves when the plan's version is what was installed, or need not be.
   * @throws Failure BH201 when it is not there, BH211, BH212 or BH214 when it is not what it has to be, BH213 when nobody
   * can say.
   */
  async require({ plugin, version }: Pick<PluginPlan, 'plugin' | 'version'>): Promise<void> {
    if (version === undefined) return;
    const check = await this.verify(plugin, version);
    const place = versionDirectory(plugin, version, this.#parts.paths);
    switch (check.verdict) {
      case 'ok':
        return;
      case 'gone':
        throw new Failure('BH201', `'${place}' is not there`);
      case 'damaged':
        throw new Failure('BH211', check.text);
      case 'differs': {
        const path = check.path === '.' ? place : `${place}/${check.path}`;
        throw new Failure('BH212', `'${path}' was ${check.expected} and is ${check.found}`);
      }
      case 'no-record':
        if (this.#parts.configuration().versions.unrecorded === 'refuse')
          throw new Failure('BH214', `nothing is known of what '${place}' has to be`);
    }
  }

  /** What the version is beside its record. @throws Failure BH213 when the comparison does not come to an end in time. */
  async verify(plugin: string, version: string): Promise<VersionCheck> {
    const known = this.#atOnce(plugin, version);
    if (known !== undefined) return known;
    const key = `${plugin}\n${version}`;
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const check = this.#verify(plugin, version).finally(() => this.#running.delete(key));
    this.#running.set(key, check);
    return check;
  }

  /** Removes what `versions.keep` of the plugin does not keep. */
  async removeOld(plugin: string): Promise<void> {
    const { name, properties } = oldVersionsUnit(plugin);
    const result = await this.#parts.manager
      .startTransientUnit(name, properties, { jobTimeoutMs: REMOVAL_MS })
      .catch((error: unknown) => {
        // It is under way, and removes what is old by then.
        if (asFailure(error).dbusName === 'org.freedesktop.systemd1.UnitExists') return 'done' as const;
        throw error;
      });
    if (result !== 'done') throw new Failure('BH424', (await lastErrorOf(name)) ?? result);
  }

  /** What can be said without reading the version; undefined when it has to be read. */
  #atOnce(plugin: string, version: string): VersionCheck | undefined {
    const there = installedVersion(plugin, version, this.#parts.places ?? VERSION_PLACES);
    if (there === undefined) return { verdict: 'gone' };
    if (there.damage !== undefined) return { verdict: 'damaged', text: there.damage.message };
    return there.record === undefined ? { verdict: 'no-record' } : undefined;
  }

  /** A supervisor that comes while it runs asks the same again, and gets the same unit. */
  async #verify(plugin: string, version: string): Promise<VersionCheck> {
    const id = digestText(`${plugin}\n${version}`);
    const unit = `bulkhead-check@${id}.service`;
    const [request, answer] = ['request', 'answer'].map((kind) => `${this.#parts.paths.run}/check/${id}.${kind}`) as [
      string,
      string,
    ];
    try {
      replaceFile(request, JSON.stringify({ plugin, version }));
      const result = await this.#parts.manager.startUnit(unit, { jobTimeoutMs: CHECK_MS });
      if (result !== 'done') throw new Failure('BH213', (await lastErrorOf(unit)) ?? `its unit ended with '${result}'`);
      return parseVersionCheck(await readBounded(answer));
    } catch (error) {
      throw new Failure('BH213', `'${version}' of '${plugin}': ${asFailure(error).message}`, { cause: error });
    } finally {
      removeFile(request);
      removeFile(answer);
    }
  }
}

async function readBounded(path: string): Promise<string> {
  const handle = await open(path);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MOST_ANSWER_BYTES), 0, MOST_ANSWER_BYTES, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}
