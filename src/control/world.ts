import { spawn } from 'node:child_process';
import type { Clock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { declaredPlugins } from '../kernel/declaration-files.ts';
import { installedVersions } from '../kernel/installed-versions.ts';
import { connect } from '../rpc/client/client.ts';
import { gatherDoctorFacts } from './doctor-facts.ts';
import type { Manager } from './manager.ts';
import { connectManager } from './manager-client.ts';
import { checkOffline, planOffline } from './offline.ts';
import { openPasswordAgent } from './password-agent.ts';
import { safeModeSwitch } from './safe-mode-switch.ts';
import { processTerminal } from './terminal.ts';
import type { World } from './verb.ts';
import { versionStore } from './version-store.ts';

/** The machine that bulkheadctl runs on. `release` closes what was opened. */
export class RealWorld implements World {
  readonly out = processTerminal(process.stdout, process.env);
  readonly err = processTerminal(process.stderr, process.env);
  readonly clock: Clock;
  #manager: Promise<Manager> | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  manager(): Promise<Manager> {
    // A password can be asked for only when somebody sits in front.
    this.#manager ??= connectManager(this.clock, process.env, process.stdin.isTTY === true);
    return this.#manager;
  }

  async release(): Promise<void> {
    const manager = await this.#manager?.catch(() => undefined);
    manager?.release();
  }

  declaredNames = async () => declaredPlugins();
  installedVersions = async (plugin: string) => installedVersions(plugin).map(({ version }) => version);
  check = checkOffline;
  planOffline = planOffline;
  connect = connect;
  passwordAgent = openPasswordAgent;
  safeMode = safeModeSwitch;
  versions = versionStore;

  gatherDoctorFacts() {
    return gatherDoctorFacts({ clock: this.clock, manager: () => this.manager() });
  }

  run(program: string, args: readonly string[]): Promise<number> {
    return new Promise((resolve, reject) => {
      // Ctrl-C goes to both of us; the program decides what to do about it, and we end with it.
      const ignore = () => {};
      process.on('SIGINT', ignore);
      const child = spawn(program, [...args], { stdio: 'inherit' });
      child.on('error', (error) =>
        reject(new Failure('BH601', `'${program}' cannot be run: ${error.message}`, { cause: error })),
      );
      child.on('close', (status, signal) => {
        process.off('SIGINT', ignore);
        resolve(status ?? (signal === 'SIGINT' ? 0 : 1));
      });
    });
  }

  interrupted(): Promise<void> {
    return new Promise((resolve) => {
      process.once('SIGINT', () => resolve());
      process.once('SIGTERM', () => resolve());
    });
  }
}
