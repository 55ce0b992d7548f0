/**
 * Valid declarations at random: each starts, and its walls are as planned. The same again with BULKHEAD_SEED=N; so many
 * with BULKHEAD_DECLARATIONS=N.
 */
import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import type { AuditReport } from '../../src/control/api.ts';
import { must, run, status, systemctl, uninstall, until } from '../support/system.ts';
import {
  completed,
  DEVICE,
  type Declared,
  declarations,
  PLACES,
  ROOT,
  SECRET_FILE,
  STATE,
} from './arbitrary-declaration.ts';
import { PROGRAM } from './scene.ts';

const SEED = Number(process.env.BULKHEAD_SEED ?? Date.now() % 2 ** 31);
const COUNT = Number(process.env.BULKHEAD_DECLARATIONS ?? 100);
/** Started at the same time. */
const BATCH = 10;
/** Attempts to find a smaller declaration that fails, too. */
const SHRINKS = 12;
/** Longer than a batch may take to start (ms), also where others have the processors: what is asked is whether it does. */
const START_MS = 180_000;

interface Running {
  readonly name: string;
  readonly declared: Declared;
}

function install(declared: Declared, index: number): Running {
  const name = `arbitrary-${index}`;
  mkdirSync(`/opt/plugin/${name}/v1`, { recursive: true });
  chmodSync(`/opt/plugin/${name}/v1`, 0o755);
  cpSync(PROGRAM, `/opt/plugin/${name}/v1/main`);
  writeFileSync(`/etc/bulkhead/plugins/${name}.yaml`, JSON.stringify(completed(declared, name, index)));
  return { name, declared };
}

/** Why it is not as planned; undefined when it is. */
async function examine({ name }: Running): Promise<string | undefined> {
  const check = await run('bulkheadctl', 'check', name);
  if (check.status !== 0) return `is not valid: ${check.stdout}${check.stderr}`;
  try {
    await until(
      'it is ready',
      async () => {
        const { state, reason, ready, size } = await status(name);
        if (state === 'failed') throw new Error(`failed: ${reason?.text}`);
        return ready === size;
      },
      START_MS,
    );
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
  const audit = await run('bulkheadctl', 'audit', name, '--json');
  if (audit.status === 0) return undefined;
  if (!audit.stdout.startsWith('{')) return `has no audit: ${audit.stderr}`;
  const { slice, sandboxes } = JSON.parse(audit.stdout) as AuditReport;
  const findings = [...slice, ...sandboxes.flatMap((sandbox) => sandbox.findings)];
  const wrong = findings.filter(({ verdict }) => verdict === 'broken' || verdict === 'unknown');
  return `is not as planned: ${JSON.stringify(wrong)}`;
}

/** What is wrong with each of them, by index; all of them run at the same time. */
async function examineAll(batch: readonly Running[]): Promise<(string | undefined)[]> {
  try {
    await systemctl('start', '--no-block', ...batch.map(({ name }) => `plugin@${name}`));
    return await Promise.all(batch.map(examine));
  } finally {
    await Promise.all(batch.map(({ name }) => uninstall(name)));
  }
}

/** Without one key after the other, as long as something stays wrong. */
async function shrink(declared: Declared, index: number): Promise<Declared> {
  let smallest = declared;
  for (const key of Object.keys(declared).slice(0, SHRINKS)) {
    const { [key]: _left, ...smaller } = smallest;
    const [wrong] = await examineAll([install(smaller, index)]);
    if (wrong !== undefined) smallest = smaller;
  }
  return smallest;
}

describe(`${COUNT} declarations at random (BULKHEAD_SEED=${SEED})`, function () {
  this.timeout(1_200_000);
  const sample = fc.sample(declarations, { seed: SEED, numRuns: COUNT });

  before(async () => {
    for (const directory of ['usr', 'proc', 'sys', 'dev', 'run', 'tmp', 'plugin', ...PLACES, STATE])
      mkdirSync(`${ROOT}/${directory}`, { recursive: true });
    chmodSync(ROOT, 0o755);
    symlinkSync('usr/lib', `${ROOT}/lib`);
    writeFileSync(SECRET_FILE, 'a secret', { mode: 0o600 });
    await must('mknod', '--mode=666', DEVICE, 'c', '1', '5');
  });

  after(() => {
    for (const path of [ROOT, SECRET_FILE, DEVICE]) rmSync(path, { recursive: true, force: true });
  });

  for (let first = 0; first < COUNT; first += BATCH) {
    it(`start and hold: ${first} to ${Math.min(first + BATCH, COUNT) - 1}`, async () => {
      const batch = sample.slice(first, first + BATCH).map((declared, nth) => install(declared, first + nth));
      const wrong = await examineAll(batch);
      const at = wrong.findIndex((why) => why !== undefined);
      const found = batch[at];
      if (found === undefined) return;
      console.log(`      ${found.name} ${wrong[at]}; looking for less with which it does`);
      const smallest = await shrink(found.declared, first + at);
      assert.fail(`${found.name} ${wrong[at]}\nfound with ${JSON.stringify(smallest)}`);
    });
  }
});
