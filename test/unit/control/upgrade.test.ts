import assert from 'node:assert/strict';
import { Failure } from '../../../src/base/failure.ts';
import { runCommandLine } from '../../../src/control/run.ts';
import type {
  SideStatus,
  UpgradeOutcomeStatus,
  UpgradeReport,
  UpgradeStatus,
} from '../../../src/control/upgrade-api.ts';
import { fromWire, toWire } from '../../../src/control/upgrade-options.ts';
import { VERBS } from '../../../src/control/verb-table.ts';
import { FakeManager, NO_UPGRADE, status } from './support/fake-manager.ts';
import { FakeWorld } from './support/fake-world.ts';

const SIDE: SideStatus = { slot: 'a', version: 'v1', weight: 95, ready: 2, wanted: 2, signals: null };

function underWay(fields: Partial<UpgradeStatus> = {}): UpgradeReport {
  const upgrade: UpgradeStatus = {
    id: 'hello-u1',
    kind: 'upgrade',
    way: 'beside',
    from: 'v1',
    to: 'v2',
    by: 'uid 0',
    why: null,
    step: 'canary',
    stages: [5, 100],
    stage: 0,
    weight: 5,
    weighed: true,
    sinceMs: 4000,
    stepSinceMs: 1000,
    bakeMs: 10_000,
    old: SIDE,
    new: { ...SIDE, slot: 'b', version: 'v2', weight: 5 },
    judgement: null,
    undo: null,
    line: 'v1 -> v2: canary 5 %, 1 s of 10 s',
    ...fields,
  };
  return { ...NO_UPGRADE, upgrade };
}

function over(fields: Partial<UpgradeOutcomeStatus> = {}): UpgradeReport {
  const lastUpgrade: UpgradeOutcomeStatus = {
    id: 'hello-u1',
    kind: 'upgrade',
    from: 'v1',
    to: 'v2',
    by: 'uid 0',
    why: null,
    outcome: 'promoted',
    reason: null,
    rows: [],
    incident: null,
    at: 0,
    ...fields,
  };
  return { ...NO_UPGRADE, lastUpgrade };
}

const ROLLED_BACK = over({ outcome: 'rolled-back', reason: { code: 'BH406', text: 'errors: 50 %' } });

/** Runs a command line; time passes with each turn, and the user ends it after so many of them. */
async function run(
  line: string,
  reports: FakeManager['upgrades'],
  { interruptAfter = 1000, onTerminal = false } = {},
): Promise<{ exit: number; out: string; err: string; asked: readonly string[]; timers: number }> {
  const manager = new FakeManager();
  manager.statuses = [status('hello')];
  manager.upgrades = reports;
  const world = new FakeWorld(manager);
  world.err.interactive = onTerminal;
  const ran = runCommandLine(line.split(' '), VERBS, world);
  let ended = false;
  void ran.finally(() => {
    ended = true;
  });
  for (let turn = 0; !ended && turn < 2000; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    world.clock.advance(300);
    if (turn === interruptAfter) world.interrupt();
  }
  const { text: out } = world.out;
  return { exit: await ran, out, err: world.err.text, asked: manager.controlled, timers: world.clock.timers };
}

describe('bulkheadctl upgrade', () => {
  it('asks with what was given, and follows to the end', async () => {
    const { exit, out, err, asked } = await run(
      'upgrade hello v2 --canary 5,25% --bake 2min --force --why CVE-2026-1',
      [underWay(), underWay(), underWay({ step: 'draining', line: 'v1 -> v2: v1 ends what it has' }), over()],
    );
    assert.equal(exit, 0);
    assert.deepEqual(asked, ['upgrade hello v2 {"canary":[5,25],"bakeMs":120000,"why":"CVE-2026-1","force":true}']);
    assert.equal(out, '● hello: v2 is live\n');
    assert.equal(err, 'hello: v1 -> v2: canary 5 %, 1 s of 10 s\nhello: v1 -> v2: v1 ends what it has\n');
  });

  for (const [outcome, expected] of [
    ['promoted', 0],
    ['rolled-back', 6],
    ['refused', 7],
    ['aborted', 1],
  ] as const) {
    it(`ends with ${expected} when it was ${outcome}`, async () => {
      assert.equal((await run('upgrade hello v2', [over({ outcome })])).exit, expected);
    });
  }

  it('says why it was rolled back', async () => {
    const { out } = await run('upgrade hello v2', [ROLLED_BACK]);
    assert.equal(out, '× hello: v1 -> v2 was rolled back: BH406 errors: 50 %\n');
  });

  it('without a version shows the one that is under way, and asks for none', async () => {
    const { exit, asked, err } = await run('upgrade hello', [underWay(), underWay(), over()]);
    assert.equal(exit, 0);
    assert.deepEqual(asked, []);
    assert.match(err, /canary 5 %/);
  });

  it('without a version and with none under way applies the declaration', async () => {
    const { asked } = await run('upgrade hello', [NO_UPGRADE, over()]);
    assert.deepEqual(asked, ['upgrade hello  {}']);
  });

  it('goes on through an absence of the supervisor', async () => {
    const gone = new Failure('BH402', 'nobody owns it');
    const { exit, err } = await run('upgrade hello v2', [underWay(), gone, gone, underWay(), over()]);
    assert.equal(exit, 0);
    assert.equal(err.match(/the supervisor is away/g)?.length, 1);
  });

  it('detaches when it is interrupted, and says how to look again', async () => {
    const { exit, out, err } = await run('upgrade hello v2', [underWay()], { interruptAfter: 5 });
    assert.equal(exit, 8);
    assert.equal(out, '');
    assert.match(err, /hello-u1 goes on; "bulkheadctl upgrade hello" shows it again/);
  });

  it('prints the id and ends with --no-wait', async () => {
    assert.equal((await run('upgrade hello v2 --no-wait', [])).out, 'hello-u1\n');
    assert.deepEqual(JSON.parse((await run('upgrade hello v2 --no-wait --json', [])).out), { id: 'hello-u1' });
  });

  it('prints an object for each change with --wait --json, and one at the end with --json', async () => {
    const reports = [underWay(), underWay({ sinceMs: 9 }), underWay({ stage: 1, weight: 100 }), over()];
    const lines = (await run('upgrade hello v2 --wait --json', [...reports])).out.trim().split('\n');
    const objects = lines.map((line) => JSON.parse(line) as UpgradeStatus & UpgradeOutcomeStatus);
    assert.deepEqual(
      objects.map(({ weight, outcome }) => outcome ?? weight),
      [5, 100, 'promoted'],
    );
    const { out } = await run('upgrade hello v2 --json', [...reports]);
    assert.equal(JSON.parse(out).outcome, 'promoted');
  });

  it('draws a block anew in place on a terminal, and leaves nothing of it', async () => {
    const judgement: UpgradeStatus['judgement'] = {
      verdict: 'few',
      reason: { signal: 'requests', text: 'requests: 3 of 50' },
      rows: [{ signal: 'requests', old: '57', new: '3 of 50', bound: '50 at least', enough: false, bad: false }],
    };
    const { err } = await run('upgrade hello v2', [underWay({ judgement }), underWay(), over()], { onTerminal: true });
    assert.match(err, /✓ start {2}▸ canary 5% \(1 of 2\) {2}commit/);
    assert.match(err, /old +v1 +a +95% +2\/2/);
    assert.match(err, /judged: too few requests to judge: requests: 3 of 50/);
    const up = '\u001b[A';
    const ups = err.split('\r\u001b[J').map((drawn) => drawn.split(up).length - 1);
    assert.deepEqual(ups, [0, 9, 6, 0]);
    assert.ok(err.endsWith('\r\u001b[J'));
  });

  it('refuses what nobody can mean', async () => {
    for (const words of [
      '--canary 25,5',
      '--canary 0',
      '--canary 101',
      '--bake soon',
      '--bake 0s',
      '--wait --no-wait',
    ]) {
      const { exit, asked } = await run(`upgrade hello v2 ${words}`, []);
      assert.equal(exit, 2, words);
      assert.deepEqual(asked, [], words);
    }
  });

  it('says that an end is not remembered', async () => {
    const { exit, err } = await run('upgrade hello v2', [over({ id: 'hello-u7' })]);
    assert.equal(exit, 1);
    assert.match(err, /BH429/);
  });
});

describe('bulkheadctl rollback', () => {
  it('ends with 0 when what was under way is undone', async () => {
    const { exit, asked } = await run('rollback hello --why broken', [ROLLED_BACK]);
    assert.equal(exit, 0);
    assert.deepEqual(asked, ['rollback hello broken']);
  });

  it('ends with 0 when the version before is live, and with 6 when that did not prove itself', async () => {
    const kind = 'rollback';
    assert.equal((await run('rollback hello', [over({ kind })])).exit, 0);
    assert.equal((await run('rollback hello', [over({ kind, outcome: 'rolled-back' })])).exit, 6);
  });
});

describe('options of UpgradePlugin', () => {
  it('come across unchanged', () => {
    for (const options of [{}, { canary: [5, 25], bakeMs: 90_000, force: true, why: 'a reason' }])
      assert.deepEqual(fromWire(toWire(options)), options);
  });

  it('are refused when they are not known or not valid', () => {
    for (const [given, text] of [
      [{ canray: '5' }, /there is no option 'canray'/],
      [{ 'x\u001b[2J': '' }, /there is no option 'x\?\[2J'/],
      [{ canary: '' }, /'canary'/],
      [{ canary: '5,5' }, /'canary'/],
      [{ bake: '2d' }, /'bake'/],
      [{ force: 'true' }, /'force'/],
      [{ why: 'x'.repeat(201) }, /'why'/],
    ] as const) {
      assert.throws(() => fromWire(given), text);
    }
  });
});
