import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { UpgradeOutcomeStatus } from '../../src/control/upgrade-api.ts';
import { type Account, describeLosses, ExactLoad } from '../support/exact-load.ts';
import { declare, must, run, sandboxUnits, status, systemctl, uninstall, untilWhole } from '../support/system.ts';
import { placeProgram, upgrade } from './versions.ts';

const PORT = 9520;
const SIZE = 2;
/** Percent of the connections that a canary gets. */
const WEIGHT = 10;
const CONNECTIONS = 8;

/** What becomes of a version that is no good. */
interface Expected {
  /** What the version is: a file of test/upgrades/bad, or what it has besides. */
  readonly title: string;
  readonly program: string;
  readonly outcome: 'rolled-back' | 'refused';
  readonly code: string;
  readonly text: RegExp;
  /** Whether clients may notice anything of it at all. */
  readonly mayLose: boolean;
  readonly bake?: string;
  /** A start takes its time on a busy machine; short for one that is to run out of it. */
  readonly startTimeout?: string;
  /** Makes it as bad as it is to be. */
  readonly spoil?: (directory: string) => void;
  /** More of how it is upgraded. */
  readonly more?: string;
}

const BAD: readonly Expected[] = [
  {
    title: 'crashes at once',
    program: 'crashes-at-once',
    outcome: 'rolled-back',
    code: 'BH321',
    text: /status 3/,
    mayLose: false,
  },
  {
    title: 'crashes under load',
    program: 'crashes-under-load',
    outcome: 'rolled-back',
    code: 'BH321',
    text: /status 7/,
    mayLose: true,
  },
  {
    title: 'never gets ready',
    program: 'never-ready',
    outcome: 'rolled-back',
    code: 'BH321',
    text: /start-timeout|probe|ready/,
    mayLose: false,
    startTimeout: '15s',
  },
  {
    title: 'leaks',
    program: 'leaks',
    outcome: 'rolled-back',
    code: 'BH322',
    text: /memory/,
    mayLose: false,
    bake: '60s',
  },
  {
    title: 'answers 500',
    program: 'answers-500',
    outcome: 'rolled-back',
    code: 'BH322',
    text: /error|answer/,
    mayLose: true,
  },
  {
    title: 'is ten times slower',
    program: 'slow',
    outcome: 'rolled-back',
    code: 'BH322',
    text: /latency|time/,
    mayLose: false,
    bake: '60s',
  },
  {
    title: 'ignores SIGTERM when it is to go',
    program: 'ignores-term',
    outcome: 'rolled-back',
    code: 'BH322',
    text: /error|answer/,
    mayLose: true,
  },
  {
    title: 'has a part of a declaration that is wrong',
    program: 'good',
    outcome: 'refused',
    code: 'BH120',
    text: /plugin\.yaml:2:/,
    mayLose: false,
    spoil: (directory) => writeFileSync(`${directory}/plugin.yaml`, 'environment: { A: b }\nlimits: { memory: 99G }\n'),
  },
  {
    title: 'is refused by the check before it',
    program: 'good',
    outcome: 'refused',
    code: 'BH430',
    text: /'\/bin\/false': exit status 1/,
    mayLose: false,
    more: ', check: [/bin/false]',
  },
];

function lines(expected: Expected): string[] {
  return [
    'template: python',
    'version: v1',
    `listen: [{ tcp: 127.0.0.1:${PORT} }]`,
    `pool: { size: ${SIZE} }`,
    'stop: { timeout: 2s }',
    'limits: { memory: 256M }',
    `health: { startup: { http: /healthz, every: 200ms }, start-timeout: ${expected.startTimeout ?? '60s'} }`,
    `upgrade: { canary: [${WEIGHT}%], bake: ${expected.bake ?? '5s'}, drain: 2s, judge: { samples: 20, memory: 50% }${expected.more ?? ''} }`,
  ];
}

/** What a version that failed may have cost: its share of the connections, and what it had in its hands when it died. */
function mostLost(asked: number): number {
  const share = WEIGHT / 100;
  return asked * share + 4 * Math.sqrt(asked * share * (1 - share)) + CONNECTIONS;
}

describe('a version that is no good', function () {
  this.timeout(400_000);
  let load: ExactLoad | undefined;
  let name = '';

  afterEach(async () => {
    load?.release();
    await uninstall(name);
  });

  /** Under a name of its own: what failed once is remembered. */
  async function start(called: string, expected: Expected): Promise<string[]> {
    name = called;
    placeProgram(name, 'v1', 'good');
    placeProgram(name, 'v2', expected.program);
    expected.spoil?.(`/opt/plugin/${name}/v2`);
    declare(name, lines(expected));
    await systemctl('start', `plugin@${name}`);
    const units = (await untilWhole(name, SIZE)).map(({ unit }) => unit);
    load = new ExactLoad({ to: `127.0.0.1:${PORT}`, connections: CONNECTIONS, keepAlive: false, thinkMs: [5, 25] });
    await load.more(100);
    return units.sort();
  }

  function assertOutcome(said: UpgradeOutcomeStatus, { outcome, code, text }: Expected): void {
    assert.equal(said.outcome, outcome, JSON.stringify(said));
    assert.equal(said.reason?.code, code, JSON.stringify(said));
    assert.match(said.reason?.text ?? '', text);
  }

  function assertLosses(account: Account, { mayLose }: Expected, inUpgrade: number): void {
    if (mayLose) assert.ok(account.lost <= mostLost(inUpgrade), `${account.lost} of ${inUpgrade} requests lost`);
    else assert.equal(account.lost, 0, describeLosses(account));
  }

  for (const [index, expected] of BAD.entries())
    it(`${expected.title}: ${expected.outcome}, and the old one serves all along`, async () => {
      const before = await start(`unproved-${index}`, expected);
      assert.ok(load !== undefined);
      const began = load.good + load.lost;
      const said = await upgrade(name, 'v2');
      const inUpgrade = load.good + load.lost - began;
      assertOutcome(said, expected);
      await load.more(100);
      const account = await load.stop();
      assertLosses(account, expected, inUpgrade);
      // None of those that served was touched, and nothing of the other side is left.
      assert.deepEqual((await untilWhole(name, SIZE)).map(({ unit }) => unit).sort(), before);
      assert.deepEqual((await sandboxUnits(name)).sort(), before);
      const { version, lastUpgrade, failedVersions, restarts } = await status(name);
      assert.deepEqual({ version, restarts: restarts.total }, { version: 'v1', restarts: 0 });
      assert.deepEqual(lastUpgrade, said);
      // Who asks is told what became of it.
      assert.match(await must('bulkheadctl', 'why', name), expected.text);
      assert.match(await must('bulkheadctl', 'events', name), new RegExp(`${expected.code}|rolled|refused`));
      if (expected.outcome === 'refused') return;
      // Whatever it was undone for is an incident, and over.
      const incidents = await must('bulkheadctl', 'incidents', 'list', name, '--json');
      assert.match(incidents, new RegExp(`"${said.incident}"`), JSON.stringify(said));
      assert.deepEqual(
        failedVersions.map(({ version: failed, reason }) => [failed, reason.code]),
        [['v2', expected.code]],
      );
      // Not again by itself, and not by mistake.
      assert.equal((await upgrade(name, 'v2')).outcome, 'refused');
    });

  /** The version that serves is damaged, too: it is left only by force, and nothing leads back to it. */
  async function leavesWhatIsDamaged(source: string): Promise<void> {
    await must('bulkheadctl', 'install', name, source, '--version', 'v4');
    assert.equal((await upgrade(name, 'v4')).outcome, 'promoted');
    const program = `/opt/plugin/${name}/v4/main.py`;
    await must('chmod', 'u+w', program);
    appendFileSync(program, '# not what was installed\n');
    const refused = await upgrade(name, 'v1');
    assert.equal(refused.outcome, 'refused', JSON.stringify(refused));
    assert.match(refused.reason?.text ?? '', /it is what serves, so there would be no way back: .*--force/);
    const forced = await upgrade(name, 'v1', '--force');
    assert.equal(forced.outcome, 'promoted', JSON.stringify(forced));
    assert.match(await must('bulkheadctl', 'events', name), /there will be no way back: .*main\.py/);
    const back = await run('bulkheadctl', 'rollback', name);
    assert.deepEqual([back.status, /BH427/.test(back.stderr)], [7, true], back.stderr);
    assert.equal((await status(name)).version, 'v1');
  }

  it('is damaged after it was installed: refused before anything is started', async () => {
    const expected = BAD.find(({ program }) => program === 'good');
    assert.ok(expected !== undefined);
    const before = await start('unproved-damaged', { ...expected, spoil: () => {}, more: '' });
    assert.ok(load !== undefined);
    const source = '/run/unproved-v3';
    try {
      mkdirSync(source, { recursive: true });
      await must('cp', '-a', `/opt/plugin/${name}/v1/.`, source);
      await must('bulkheadctl', 'install', name, source, '--version', 'v3');
      const program = `/opt/plugin/${name}/v3/main.py`;
      await must('chmod', 'u+w', program);
      appendFileSync(program, '# not what was installed\n');
      assert.match(readFileSync(program, 'utf8'), /not what was installed/);
      const said = await upgrade(name, 'v3');
      assert.equal(said.outcome, 'refused', JSON.stringify(said));
      assert.match(said.reason?.text ?? '', /main\.py' was a file of mode 0444/);
      const account = await load.stop();
      assert.equal(account.lost, 0, describeLosses(account));
      assert.deepEqual((await untilWhole(name, SIZE)).map(({ unit }) => unit).sort(), before);
      await leavesWhatIsDamaged(source);
    } finally {
      rmSync(source, { recursive: true, force: true });
      await run('chmod', '-R', 'u+w', `/opt/plugin/${name}`);
    }
  });
});
