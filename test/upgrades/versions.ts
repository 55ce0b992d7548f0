import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import type { UpgradeOutcomeStatus } from '../../src/control/upgrade-api.ts';

const TREE = process.env.BULKHEAD_TREE ?? '/opt/bulkhead-test';

/** The longest (ms) that an upgrade of these tests takes on a machine that is busy otherwise. */
const PATIENCE_MS = 180_000;

/** Puts a directory of the test tree where the version of a plugin is expected, by hand and without a record. */
export function placeVersion(name: string, version: string, from: string): void {
  const directory = `/opt/plugin/${name}/${version}`;
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  cpSync(`${TREE}/${from}`, directory, { recursive: true });
}

/** The same with a program of test/upgrades/bad, which changes what the example in Python does. */
export function placeProgram(name: string, version: string, program: string): void {
  placeVersion(name, version, 'examples/hello-python');
  const directory = `/opt/plugin/${name}/${version}`;
  renameSync(`${directory}/main.py`, `${directory}/hello.py`);
  cpSync(`${TREE}/bad/${program}.py`, `${directory}/main.py`);
}

/** What `bulkheadctl upgrade NAME VERSION` says in the end, whatever comes of it. */
export function upgrade(name: string, version: string, ...options: readonly string[]): Promise<UpgradeOutcomeStatus> {
  return outcomeOf('upgrade', name, version, ...options);
}

export function rollback(name: string, ...options: readonly string[]): Promise<UpgradeOutcomeStatus> {
  return outcomeOf('rollback', name, ...options);
}

function outcomeOf(...words: readonly string[]): Promise<UpgradeOutcomeStatus> {
  return new Promise((resolve, reject) => {
    execFile('bulkheadctl', [...words, '--json'], { timeout: PATIENCE_MS }, (_, stdout, stderr) => {
      try {
        resolve(JSON.parse(stdout) as UpgradeOutcomeStatus);
      } catch {
        reject(new Error(`bulkheadctl ${words.join(' ')} printed '${stdout}' and '${stderr}'`));
      }
    });
  });
}
