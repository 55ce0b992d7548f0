import { linkSync, mkdirSync, rmSync } from 'node:fs';
import type { Isolation } from '../../../src/declare/declaration.ts';
import { must, systemctl, untilWhole } from '../../support/system.ts';
import { BENCH_DIRECTORY, BenchPlugin } from './plugin.ts';
import type { Upgrader } from './upgrade-services.ts';

const SIZE = 2;

/** The server of our examples as a plugin, which changes from one version to the next and back. */
export class PluginUpgrader implements Upgrader {
  readonly title: string;
  readonly port: number;
  readonly #plugin: BenchPlugin;
  readonly #way: 'beside' | 'in-place';
  #version = 'v1';

  constructor(name: string, port: number, isolation: Isolation, way: 'beside' | 'in-place' = 'beside') {
    this.title = `bulkhead (${isolation}), ${way === 'beside' ? 'upgrade' : 'in place'}`;
    this.port = port;
    this.#way = way;
    this.#plugin = new BenchPlugin(name, 'c', isolation, 'server');
  }

  async install(): Promise<void> {
    this.#plugin.install([
      `listen: [{ tcp: 0.0.0.0:${this.port} }]`,
      `pool: { size: ${SIZE} }`,
      'upgrade:',
      `  way: ${this.#way}`,
      // The server has nothing to load anew; this one it ignores.
      ...(this.#way === 'in-place' ? ['  signal: SIGWINCH'] : []),
      '  canary: []',
      '  bake: 1s',
      '  judge: { errors: infinity, latency: infinity, memory: infinity }',
    ]);
    const other = `/opt/plugin/${this.#plugin.name}/v2`;
    mkdirSync(other, { recursive: true, mode: 0o755 });
    rmSync(`${other}/main`, { force: true });
    linkSync(`${BENCH_DIRECTORY}/server`, `${other}/main`);
    await systemctl('start', this.#plugin.anchor);
    await untilWhole(this.#plugin.name, SIZE);
  }

  async upgrade(): Promise<void> {
    this.#version = this.#version === 'v1' ? 'v2' : 'v1';
    await must('bulkheadctl', 'upgrade', this.#plugin.name, this.#version);
  }

  remove(): Promise<void> {
    return this.#plugin.remove();
  }
}
