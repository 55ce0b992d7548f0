import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { PluginStatus } from '../../src/control/api.ts';
import { describeLosses, ExactLoad } from '../support/exact-load.ts';
import { forEachIsolation } from '../support/isolation.ts';
import {
  declare,
  readySandboxes,
  run,
  sandboxUnits,
  status,
  supervisorBack,
  supervisorPid,
  systemctl,
  uninstall,
  until,
  untilWhole,
} from '../support/system.ts';
import { StepWatch } from './steps.ts';
import { placeProgram } from './versions.ts';

const NAME = 'cut-short';
const PORT = 9530;
const SIZE = 2;
const PATIENCE_MS = 60_000;
/** So many changes, and each step is seen on disk in one of them, though another one may follow it at once. */
const MOST_CHANGES = 8;
const LINES = [
  'template: python',
  'version: v1',
  `listen: [{ tcp: 127.0.0.1:${PORT} }]`,
  `pool: { size: ${SIZE} }`,
  'upgrade: { canary: [30%], bake: 1s, drain: 10s, judge: { errors: infinity, latency: infinity, memory: infinity } }',
];

/** For a canary in which somebody asks for the way back, on a machine that is busy. */
const LONG_ENOUGH = ['--bake', '20s'] as const;

interface Change {
  readonly id: string;
  readonly from: string;
  readonly to: string;
}

forEachIsolation('a change of version that is interrupted', function () {
  this.timeout(1_800_000);
  let load: ExactLoad | undefined;

  before(async () => {
    for (const version of ['v1', 'v2']) placeProgram(NAME, version, 'good');
    declare(NAME, LINES);
    await systemctl('start', `plugin@${NAME}`);
    await untilWhole(NAME, SIZE);
  });
  beforeEach(() => {
    load = new ExactLoad({ to: `127.0.0.1:${PORT}`, connections: 6, keepAlive: true, each: 20, thinkMs: [5, 30] });
  });
  afterEach(() => load?.release());
  after(() => uninstall(NAME));

  /** Begins one, and says what it is to change, once the state of it is on disk. Who asked may not hear of it any more. */
  async function begin(steps: StepWatch, ...options: readonly string[]): Promise<Change> {
    const { version: from } = await known();
    assert.ok(from !== null);
    const to = from === 'v1' ? 'v2' : 'v1';
    const { stderr } = await run('bulkheadctl', 'upgrade', NAME, to, '--no-wait', '--force', ...options);
    await until(`a change to ${to} is on disk; ${stderr}`, () => steps.id !== undefined, PATIENCE_MS);
    return { id: steps.id ?? '', from, to };
  }

  /** As soon as the supervisor can be asked. */
  async function known(): Promise<PluginStatus> {
    let found: PluginStatus | undefined;
    await until('the supervisor says how it stands', async () => {
      found = await status(NAME).catch(() => undefined);
      return found !== undefined;
    });
    assert.ok(found !== undefined);
    return found;
  }

  /** Waits until it is over, and says that it is whole, whichever way it went; returns its outcome. */
  async function settled({ id, from, to }: Change): Promise<string> {
    await until(`${id} is over`, async () => isOver(id), PATIENCE_MS);
    const { lastUpgrade, version, previousVersion } = await status(NAME);
    assert.equal(lastUpgrade?.id, id);
    const { outcome } = lastUpgrade ?? {};
    assert.ok(outcome === 'promoted' || outcome === 'rolled-back', JSON.stringify(lastUpgrade));
    const live = outcome === 'promoted' ? to : from;
    assert.equal(version, live);
    if (outcome === 'promoted') assert.equal(previousVersion, from);
    const ready = await untilWhole(NAME, SIZE, PATIENCE_MS);
    // One slot, one version, and nobody else.
    assert.deepEqual([...new Set(ready.map(({ slot }) => slot))].length, 1);
    for (const { payloadPid } of ready)
      assert.match(readFileSync(`/proc/${payloadPid}/mountinfo`, 'utf8'), versionMount(live));
    assert.deepEqual((await sandboxUnits(NAME)).sort(), ready.map(({ unit }) => unit).sort());
    const record = JSON.parse(readFileSync(`/var/lib/bulkhead/live/${NAME}.json`, 'utf8'));
    assert.equal(record.underWay ?? undefined, undefined, JSON.stringify(record));
    return outcome;
  }

  async function isOver(id: string): Promise<boolean> {
    try {
      const { upgrade, lastUpgrade } = await status(NAME);
      return upgrade === null && lastUpgrade?.id === id;
    } catch {
      return false; // the supervisor is away
    }
  }

  async function nothingLost(): Promise<void> {
    assert.ok(load !== undefined);
    await load.more(50);
    const account = await load.stop();
    assert.equal(account.lost, 0, describeLosses(account));
  }

  /** The steps of a change that nobody interrupts, or that is undone in its canary. */
  async function stepsOf(undone: boolean): Promise<readonly string[]> {
    const steps = new StepWatch(NAME, (step) => {
      if (undone && step === 'canary, 30 %') void run('bulkheadctl', 'rollback', NAME, '--no-wait');
    });
    try {
      assert.equal(
        await settled(await begin(steps, ...(undone ? LONG_ENOUGH : []))),
        undone ? 'rolled-back' : 'promoted',
      );
      return steps.seen;
    } finally {
      steps.release();
    }
  }

  /** Kills the supervisor as soon as this step is on disk. Two that follow each other at once may be seen as one: then again. */
  async function killedAt(at: string, undone: boolean): Promise<void> {
    for (let attempt = 0; attempt < MOST_CHANGES; attempt++) if (await isKilledAt(at, undone)) return;
    assert.fail(`'${at}' was not seen in ${MOST_CHANGES} changes`);
  }

  async function isKilledAt(at: string, undone: boolean): Promise<boolean> {
    const before = await supervisorPid();
    let killed = false;
    const steps = new StepWatch(NAME, (step) => {
      if (step === at && !killed) {
        killed = true;
        process.kill(before, 'SIGKILL');
      } else if (undone && step === 'canary, 30 %') void run('bulkheadctl', 'rollback', NAME, '--no-wait');
    });
    try {
      const change = await begin(steps, ...(undone ? LONG_ENOUGH : []));
      await until(`the step '${at}'`, async () => killed || (await isOver(change.id)), PATIENCE_MS);
      if (killed) await supervisorBack(before);
      await settled(change);
      return killed;
    } finally {
      steps.release();
    }
  }

  for (const undone of [false, true])
    it(`the supervisor is killed at each step of one that is ${undone ? 'undone' : 'promoted'}: finished or undone, nothing lost`, async () => {
      const must = undone
        ? ['starting', 'canary', 'undoing']
        : ['verifying', 'starting', 'canary', 'committing', 'draining'];
      const steps: string[] = [];
      const missing = () => must.filter((step) => !steps.some((each) => each.startsWith(step)));
      // One that is over in a millisecond may be missed on a busy machine.
      for (let changes = 0; changes < MOST_CHANGES && missing().length > 0; changes++)
        for (const step of await stepsOf(undone)) if (!steps.includes(step)) steps.push(step);
      assert.deepEqual(missing(), [], steps.join(' | '));
      const from = undone ? steps.findIndex((step) => step.startsWith('undoing')) : 0;
      for (const step of steps.slice(from)) await killedAt(step, undone);
      await nothingLost();
    });

  const VICTIMS = [
    { at: 'starting', side: 'old', outcome: 'promoted' },
    { at: 'canary, 30 %', side: 'old', outcome: 'promoted' },
    // Until it is known who is to be killed, and that is done, the step has to last.
    { at: 'canary, 30 %', side: 'new', outcome: 'rolled-back', options: LONG_ENOUGH },
    { at: 'canary, 100 %', side: 'new', outcome: 'rolled-back', options: ['--canary', '100', ...LONG_ENOUGH] },
    { at: 'draining', side: 'new', outcome: 'promoted' },
  ] as const;

  for (const { at, side, outcome, ...more } of VICTIMS)
    it(`a sandbox of the ${side} side is killed in '${at}': ${outcome}`, async () => {
      const liveSlot = (await status(NAME)).slot;
      let victim: Promise<number> | undefined;
      const steps = new StepWatch(NAME, (step) => {
        if (step.startsWith(at)) victim ??= kill();
      });
      async function kill(): Promise<number> {
        const ready = await readySandboxes(NAME);
        const found = ready.find(({ slot }) => (slot === liveSlot) === (side === 'old'));
        assert.ok(found?.payloadPid, `nobody of the ${side} side in ${JSON.stringify(ready.map(({ unit }) => unit))}`);
        process.kill(found.payloadPid, 'SIGKILL');
        return performance.now();
      }
      try {
        const change = await begin(steps, ...('options' in more ? more.options : []));
        await until(`the step '${at}'`, () => victim !== undefined, PATIENCE_MS);
        await victim;
        assert.equal(await settled(change), outcome);
        assert.ok(load !== undefined);
        await load.more(50);
        const account = await load.stop();
        // What was in the hands of the one that died.
        assert.ok(account.lost <= 6, describeLosses(account));
        assert.equal(account.refused + account.late + account.wrong, 0, describeLosses(account));
      } finally {
        steps.release();
      }
    });
});

/** The directory that a sandbox sees as its own. */
function versionMount(version: string): RegExp {
  return new RegExp(`/${NAME}/${version}[^\\n]* /plugin |/${NAME}/${version} `);
}
