import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { connectManager } from '../../src/control/manager-client.ts';
import type { UpgradeOutcomeStatus, UpgradeReport, UpgradeStatus } from '../../src/control/upgrade-api.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { must, type Ran, run, until } from '../support/system.ts';

const EXAMPLES = process.env.BULKHEAD_EXAMPLES ?? '/opt/bulkhead-test/examples';

/** Longer than any change of these tests on a busy machine, ms. */
const PATIENCE_MS = 60_000;

/** Runs bulkheadctl; any exit status is a result. */
export function ctl(...words: readonly string[]): Promise<Ran> {
  return run('bulkheadctl', ...words);
}

/** Installs the example in C as these versions of the plugin, as a person would. */
export async function installVersions(name: string, ...versions: readonly string[]): Promise<void> {
  for (const version of versions)
    await must('bulkheadctl', 'install', name, `${EXAMPLES}/hello-c`, '--version', version);
}

/** Another program for a version, put there by hand and without a record. */
export function placeScript(name: string, version: string, script: string): void {
  const directory = `/opt/plugin/${name}/${version}`;
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  cpSync(`${EXAMPLES}/hello-c/main`, `${directory}/hello`);
  writeFileSync(`${directory}/main`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

export async function changesOf(name: string): Promise<UpgradeReport> {
  const manager = await connectManager(systemClock, process.env, false);
  try {
    return await manager.upgradeReport(name);
  } finally {
    manager.release();
  }
}

/** Resolves when the change that is under way is seen so. */
export async function untilChange(
  name: string,
  what: string,
  holds: (upgrade: UpgradeStatus) => boolean,
): Promise<UpgradeStatus> {
  let seen: UpgradeStatus | null = null;
  await until(
    `the change of '${name}' is ${what}`,
    async () => {
      seen = (await changesOf(name)).upgrade;
      return seen !== null && holds(seen);
    },
    PATIENCE_MS,
  );
  if (seen === null) throw new Error('nothing was seen');
  return seen;
}

export function untilCanary(name: string): Promise<UpgradeStatus> {
  return untilChange(name, 'in its canary', ({ step, weighed, weight }) => step === 'canary' && weighed && weight > 0);
}

/** Resolves with what became of the last change when none is under way. */
export async function untilOver(name: string): Promise<UpgradeOutcomeStatus> {
  let last: UpgradeOutcomeStatus | null = null;
  await until(
    `no change of '${name}' is under way`,
    async () => {
      const { upgrade, lastUpgrade } = await changesOf(name);
      last = lastUpgrade;
      return upgrade === null && lastUpgrade !== null;
    },
    PATIENCE_MS,
  );
  if (last === null) throw new Error('nothing was seen');
  return last;
}

/** `bulkheadctl upgrade|rollback ... --wait --json` while it runs: what it has printed. */
export class Following {
  readonly ended: Promise<number>;
  readonly #process: ChildProcess;
  #out = '';
  #err = '';

  constructor(...words: readonly string[]) {
    this.#process = spawn('bulkheadctl', [...words, '--wait', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#out += text;
    });
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#err += text;
    });
    this.ended = new Promise((resolve) => this.#process.on('close', (status) => resolve(status ?? 255)));
  }

  /** What it looked like with each change, without the outcome. */
  get seen(): UpgradeStatus[] {
    return this.#objects.filter((each): each is UpgradeStatus => !('outcome' in each));
  }

  get outcome(): UpgradeOutcomeStatus | undefined {
    return this.#objects.find((each): each is UpgradeOutcomeStatus => 'outcome' in each);
  }

  get err(): string {
    return this.#err;
  }

  interrupt(): void {
    this.#process.kill('SIGINT');
  }

  /** For `finally`. */
  release(): void {
    this.#process.kill('SIGKILL');
  }

  get #objects(): (UpgradeStatus | UpgradeOutcomeStatus)[] {
    const lines = this.#out.split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as UpgradeStatus | UpgradeOutcomeStatus);
  }
}
