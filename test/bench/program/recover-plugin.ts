import { readFileSync } from 'node:fs';
import type { Isolation } from '../../../src/declare/declaration.ts';
import { readySandboxes, systemctl, until } from '../../support/system.ts';
import { BenchPlugin } from './plugin.ts';
import { type Keeper, WATCHDOG_S, WHOLE_MS } from './recovery.ts';

/** Each injury counts as a first one, after a second of good health; and no budget to speak of. */
const RECOVERY = ['  backoff: { reset: 1s }', '  budget: { restarts: 1000, within: 1s }'];

/** USER_HZ is 100 on all architectures of Linux that matter. */
const TICK_MS = 10;

export interface PluginWishes {
  readonly name: string;
  readonly port: number;
  readonly size: number;
  readonly standby: number;
  readonly isolation: Isolation;
}

/** The same server as a plugin, with a liveness probe that asks for the same sign of life as systemd's watchdog. */
export class PluginKeeper implements Keeper {
  readonly notices = ['kill', 'loop', 'stop', 'oom'] as const;
  readonly title: string;
  readonly port: number;
  readonly size: number;
  readonly #standby: number;
  readonly #plugin: BenchPlugin;

  constructor({ name, port, size, standby, isolation }: PluginWishes) {
    this.title = `bulkhead (${isolation}), ${size}${standby > 0 ? ` and ${standby} standby` : ''}`;
    this.port = port;
    this.size = size;
    this.#standby = standby;
    this.#plugin = new BenchPlugin(name, 'c', isolation, 'steady');
  }

  async install(): Promise<void> {
    const exec = 'exec: [./main, server]';
    const health = `health: { ready: notify, stopped: 1s, liveness: { notify: true, every: 1s, misses: ${WATCHDOG_S} } }`;
    this.#plugin.install([
      exec,
      `listen: [{ tcp: 127.0.0.1:${this.port} }]`,
      `pool: { size: ${this.size}, standby: ${this.#standby} }`,
      'limits: { memory: 64M, memory-high: infinity }',
      health,
      'recovery:',
      ...RECOVERY,
    ]);
    await systemctl('start', this.#plugin.anchor);
    await this.whole();
  }

  /** Not by what the supervisor says: a standby must not be taken for one that serves. */
  async victim(): Promise<number> {
    const answer = await fetch(`http://127.0.0.1:${this.port}/`, { headers: { connection: 'close' } });
    const started = Number(await answer.text()) / 1e6;
    const before = this.#plugin
      .payloads()
      .map((pid) => ({ pid, startedMs: startedMs(pid) }))
      .filter((payload) => payload.startedMs <= started)
      .sort((one, other) => other.startedMs - one.startedMs);
    if (before[0] === undefined) throw new Error(`${this.title}: nobody started before ${started}`);
    return before[0].pid;
  }

  async whole(): Promise<void> {
    const all = this.size + this.#standby;
    await until(`${all} payloads of ${this.title}`, () => this.#plugin.payloads().length === all, WHOLE_MS);
    await until(
      `${all} ready sandboxes of ${this.title}`,
      async () => (await readySandboxes(this.#plugin.name)).length === all,
      WHOLE_MS,
    );
  }

  remove(): Promise<void> {
    return this.#plugin.remove();
  }
}

/** When the process was forked, ms of CLOCK_MONOTONIC, to a hundredth of a second: field 22 of /proc/PID/stat. */
function startedMs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19]) * TICK_MS;
}
