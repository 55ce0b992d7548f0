import { execFile } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { systemctl, until } from '../../support/system.ts';
import { declarationLines } from './declaration-lines.ts';
import { BENCH_DIRECTORY, BenchPlugin } from './plugin.ts';
import type { Systemd } from './systemd.ts';

/** One kill, and how its clients got over it. */
export interface Gap {
  /** When it was, ms of CLOCK_MONOTONIC. */
  readonly killed: number;
  /** From the kill to the end of the next good answer, ms. */
  readonly ms: number;
  /** From the kill to the first instruction of the process that answered, ms; below 0 for one that ran already. */
  readonly startedMs: number;
  /** Connections that nobody took, and connections that broke, before the good answer. */
  readonly refused: number;
  readonly broken: number;
}

/** Somebody who keeps the same server running. */
export interface Keeper {
  readonly title: string;
  install(): Promise<void>;
  /** Kills the server and measures. */
  kill(): Promise<Gap>;
  /** Resolves when all is as before the kill. */
  whole(): Promise<void>;
  remove(): Promise<void>;
}

const RUNTIME_UNITS = '/run/systemd/system';

/** No budget to speak of: what is measured is a single crash, many times. */
const MANY_RESTARTS = '  budget: { restarts: 1000, within: 1s }';

/** The back-off of a plugin whose every death counts as its first one, after a second of good health. */
export const FIRST_DEATHS = 'reset: 1s';

/** The back-off of a plugin whose every death but the first is one too many, without growing delays. */
export const FURTHER_DEATHS = 'factor: 1';

export class PluginKeeper implements Keeper {
  readonly title: string;
  readonly plugin: string;
  readonly #plugin: BenchPlugin;
  readonly #size: number;
  readonly #port: number;
  readonly #backoff: string;
  readonly #systemd: Systemd;

  /** @param wishes.backoff keys of `recovery.backoff` that differ from the defaults */
  constructor(systemd: Systemd, wishes: { title: string; name: string; port: number; size: number; backoff: string }) {
    this.title = wishes.title;
    this.plugin = wishes.name;
    this.#plugin = new BenchPlugin(wishes.name, 'c');
    this.#size = wishes.size;
    this.#port = wishes.port;
    this.#backoff = wishes.backoff;
    this.#systemd = systemd;
  }

  async install(): Promise<void> {
    const recovery = [`  backoff: { ${this.#backoff} }`, MANY_RESTARTS];
    this.#plugin.install(declarationLines({ port: this.#port, size: this.#size, recovery }));
    await this.#systemd.start(this.#plugin.anchor);
    await this.whole();
  }

  kill(): Promise<Gap> {
    const [pid] = this.#plugin.payloads();
    return measure(pid, this.#port, this.#size > 1);
  }

  whole(): Promise<void> {
    // The kernel has forgotten the dead process by now: what is left is new.
    return until(`${this.#size} sandboxes of ${this.title}`, () => this.#plugin.payloads().length === this.#size);
  }

  remove(): Promise<void> {
    return this.#plugin.remove();
  }
}

/** A service of systemd that runs the same program; with a socket unit, or with a socket of its own. */
export class ServiceKeeper implements Keeper {
  readonly title: string;
  readonly #name: string;
  readonly #port: number;
  readonly #socket: boolean;
  readonly #systemd: Systemd;

  constructor(systemd: Systemd, wishes: { title: string; name: string; port: number; socket: boolean }) {
    this.title = wishes.title;
    this.#name = wishes.name;
    this.#port = wishes.port;
    this.#socket = wishes.socket;
    this.#systemd = systemd;
  }

  async install(): Promise<void> {
    mkdirSync(RUNTIME_UNITS, { recursive: true });
    const restart = this.#socket ? [] : ['Restart=always', 'RestartSec=0'];
    const command = `${BENCH_DIRECTORY}/payload${this.#socket ? '' : ` ${this.#port}`}`;
    this.#write('service', [
      '[Unit]',
      'StartLimitIntervalSec=0',
      '[Service]',
      'Type=exec',
      ...restart,
      `ExecStart=${command}`,
    ]);
    if (this.#socket) {
      const limits = ['TriggerLimitIntervalSec=0', 'PollLimitIntervalSec=0'];
      this.#write('socket', ['[Socket]', `ListenStream=127.0.0.1:${this.#port}`, ...limits]);
    }
    await systemctl('daemon-reload');
    await this.#systemd.start(`${this.#name}.${this.#socket ? 'socket' : 'service'}`);
    if (this.#socket) await this.#systemd.start(this.#service);
    await this.whole();
  }

  kill(): Promise<Gap> {
    return measure(this.#systemd.mainPid(this.#service), this.#port, false);
  }

  whole(): Promise<void> {
    return until(this.title, () => this.#systemd.mainPid(this.#service) !== undefined);
  }

  async remove(): Promise<void> {
    if (this.#socket) await this.#systemd.stop(`${this.#name}.socket`);
    await this.#systemd.stop(this.#service);
    for (const type of ['service', 'socket']) rmSync(`${RUNTIME_UNITS}/${this.#name}.${type}`, { force: true });
    await systemctl('daemon-reload');
  }

  get #service(): string {
    return `${this.#name}.service`;
  }

  #write(type: string, lines: readonly string[]): void {
    writeFileSync(`${RUNTIME_UNITS}/${this.#name}.${type}`, `${lines.join('\n')}\n`);
  }
}

async function measure(pid: number | undefined, port: number, any: boolean): Promise<Gap> {
  if (pid === undefined) throw new Error('there is nobody to kill');
  const { stdout } = await promisify(execFile)(`${BENCH_DIRECTORY}/gap`, [
    String(pid),
    String(port),
    ...(any ? ['any'] : []),
  ]);
  const [killed = 0, gap = 0, refused = 0, broken = 0, started = 0] = stdout.trim().split(' ').map(Number);
  return { killed: killed / 1e6, ms: gap / 1e6, startedMs: (started - killed) / 1e6, refused, broken };
}
