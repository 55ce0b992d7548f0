import { cpSync, linkSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import type { Isolation } from '../../../src/declare/declaration.ts';
import { anchorUnitName, pluginSliceName } from '../../../src/plan/identity.ts';
import { declare, run } from '../../support/system.ts';
import { groupsIn, processesBelow } from './processes.ts';

/** Where test/bench/bench put what the benchmarks need. */
export const BENCH_DIRECTORY = '/opt/bulkhead-bench';

export type Language = 'c' | 'python' | 'node';

/** Where a sandbox sees the version's directory. */
const INSIDE = '/plugin';

const PROGRAMS: Readonly<Record<Language, readonly string[]>> = {
  c: [`${INSIDE}/main`],
  python: ['/usr/bin/python3', `${INSIDE}/main.py`],
  node: ['/usr/bin/node', `${INSIDE}/main.js`],
};

/** Names of the processes of a sandbox that are not the payload's. */
const OURS = ['systemd-nspawn', 'plugin-init', 'plugin-ready', 'plugin-prober', 'plugin-adapter'];

/** A payload of the benchmarks as a plugin: a version directory and a declaration, as a user would make them. */
export class BenchPlugin {
  readonly name: string;
  readonly anchor: string;
  readonly language: Language;
  readonly isolation: Isolation;
  readonly #program: string;

  /** @param program of BENCH_DIRECTORY, for language `c` */
  constructor(name: string, language: Language, isolation: Isolation = 'nspawn', program = 'payload') {
    this.#program = program;
    this.name = name;
    this.anchor = anchorUnitName(name);
    this.language = language;
    this.isolation = isolation;
  }

  /** The program on the host and its arguments, as the other ways to start it need them. */
  get command(): readonly string[] {
    return PROGRAMS[this.language].map((word) => word.replace(INSIDE, `/opt/plugin/${this.name}/v1`));
  }

  /** The same program as the sandbox sees it. */
  get commandInside(): readonly string[] {
    return PROGRAMS[this.language];
  }

  install(declaration: readonly string[]): void {
    const directory = `/opt/plugin/${this.name}/v1`;
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    if (this.language === 'c') {
      // One file for all: its pages in memory are shared, as those of python3 and node are.
      rmSync(`${directory}/main`, { force: true });
      linkSync(`${BENCH_DIRECTORY}/${this.#program}`, `${directory}/main`);
    } else {
      const file = this.language === 'python' ? 'main.py' : 'main.js';
      cpSync(`${BENCH_DIRECTORY}/${file}`, `${directory}/${file}`);
    }
    const template = this.language === 'c' ? 'native' : this.language;
    declare(this.name, [`template: ${template}`, 'version: v1', `isolation: ${this.isolation}`, ...declaration]);
  }

  async remove(): Promise<void> {
    await run('systemctl', 'stop', this.anchor);
    rmSync(`/etc/bulkhead/plugins/${this.name}.yaml`, { force: true });
    rmSync(`/opt/plugin/${this.name}`, { recursive: true, force: true });
  }

  /** Host pids of the payloads that run now. */
  payloads(): number[] {
    return payloadsBelow(this.#slice);
  }

  /** The options of systemd-nspawn with which a sandbox of this plugin runs now. */
  nspawnOptions(): string[] {
    const nspawn = processesBelow(this.#slice).find(({ name }) => name === 'systemd-nspawn');
    if (nspawn === undefined) throw new Error(`no sandbox of '${this.name}' runs`);
    const [, ...words] = readFileSync(`/proc/${nspawn.pid}/cmdline`, 'utf8').split('\0');
    const end = words.findIndex((word) => !word.startsWith('--'));
    return words.slice(0, end);
  }

  /** The cgroups of the sandboxes that there are now. */
  sandboxes(): string[] {
    return groupsIn(this.#slice).map((group) => `${this.#slice}/${group}`);
  }

  get #slice(): string {
    return `/plugin.slice/${pluginSliceName(this.name)}`;
  }
}

/** Host pids of what runs below this cgroup, but for what is ours. */
export function payloadsBelow(cgroup: string): number[] {
  return processesBelow(cgroup)
    .filter(({ name }) => !OURS.includes(name))
    .map(({ pid }) => pid);
}

/** Whether the cgroups of all plugins are gone. */
export function sandboxesLeft(): boolean {
  return groupsIn('/plugin.slice').length > 0;
}
