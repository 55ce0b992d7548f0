import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { MANAGER_INTERFACE, MANAGER_NAME, MANAGER_PATH } from '../../src/control/wire-names.ts';
import { forEachIsolation } from '../support/isolation.ts';
import {
  declare,
  pidsOf,
  run,
  sandboxUnits,
  status,
  systemctl,
  uninstall,
  until,
  untilWhole,
} from '../support/system.ts';
import { changesOf, ctl, installVersions, placeScript, untilCanary, untilOver } from './changes.ts';

const CHECK = '/run/bulkhead-check-of-test';

function declaration(port: number, more: readonly string[] = [], version = 'v1'): string[] {
  return ['template: native', `version: ${version}`, `listen: [{ tcp: 127.0.0.1:${port} }]`, ...more];
}

/** Nobody answers: judgements have too little to go by, and go on. */
const QUICK = 'upgrade: { canary: [50%], bake: 1s }';
const SLOW = 'upgrade: { canary: [50%], bake: 1min }';

function busctl(...words: readonly string[]): ReturnType<typeof run> {
  return run('busctl', 'call', MANAGER_NAME, MANAGER_PATH, MANAGER_INTERFACE, ...words);
}

describe('what an upgrade is refused for', function () {
  this.timeout(180_000);
  const name = 'refusing';

  before(async () => {
    await installVersions(name, 'v1', 'v2');
    declare(name, declaration(9530, [SLOW]));
  });
  after(() => uninstall(name));

  async function refused(code: string, ...words: readonly string[]): Promise<string> {
    const { status: exit, stdout, stderr } = await ctl(...words);
    assert.equal(exit, 7, `${words.join(' ')}: ${stdout}${stderr}`);
    assert.match(`${stdout}${stderr}`, new RegExp(code));
    assert.equal((await changesOf(name)).upgrade, null);
    return `${stdout}${stderr}`;
  }

  it('a plugin that does not run', async () => {
    const { status: exit, stderr } = await ctl('upgrade', name, 'v2');
    assert.equal(exit, 1);
    assert.match(stderr, /BH410/);
    await systemctl('start', `plugin@${name}`);
  });

  it('a version that is not installed, with those that are', async () => {
    assert.match(await refused('BH201', 'upgrade', name, 'v9'), /installed: 'v1', 'v2'/);
  });

  it('the version that is live', async () => {
    await refused('BH426', 'upgrade', name, 'v1');
  });

  it('nothing to go back to', async () => {
    await refused('BH427', 'rollback', name);
  });

  it('a check that says no, with what it was told', async () => {
    const script =
      '#!/bin/sh\necho "$BULKHEAD_PLUGIN $BULKHEAD_FROM $BULKHEAD_VERSION" >/run/bulkhead-check-said\nexit 3\n';
    writeFileSync(CHECK, script);
    chmodSync(CHECK, 0o755);
    declare(name, declaration(9530, [`upgrade: { check: [${CHECK}], bake: 1min }`]));
    assert.match(await refused('BH430', 'upgrade', name, 'v2'), /exit status 3/);
    assert.equal((await run('cat', '/run/bulkhead-check-said')).stdout, `${name} v1 v2\n`);
  });

  it('memory that is not there, in numbers', async () => {
    const swap = await run('sh', '-c', "awk '/MemTotal/ { print $2 * 1024 }' /proc/meminfo");
    const total = Number(swap.stdout.trim());
    declare(name, declaration(9530, [SLOW, 'pool: { size: 2 }', `limits: { memory: ${Math.floor(total / 1.9)} }`]));
    assert.match(await refused('BH431', 'upgrade', name, 'v2'), /2 sandboxes more may take .*, and .* are available/);
  });

  it('a version whose files were changed', async () => {
    declare(name, declaration(9530, [SLOW]));
    chmodSync(`/opt/plugin/${name}/v2/main`, 0o777);
    assert.match(await refused('BH212', 'upgrade', name, 'v2'), /v2\/main/);
    chmodSync(`/opt/plugin/${name}/v2/main`, 0o555);
  });

  it('another one that is under way', async () => {
    await installVersions(name, 'v3');
    const begun = await ctl('upgrade', name, 'v3', '--no-wait');
    assert.equal(begun.status, 0, begun.stderr);
    const { status: exit, stderr } = await ctl('upgrade', name, 'v1');
    assert.equal(exit, 7);
    assert.match(stderr, /BH425/);
    await untilCanary(name);
    assert.equal((await ctl('rollback', name)).status, 0);
  });

  it('somebody who may not, and words that nobody can mean', async () => {
    const asNobody = await new Promise<{ code: unknown; text: string }>((resolve) => {
      execFile('bulkheadctl', ['upgrade', name, 'v1'], { uid: 65534, gid: 65534, cwd: '/' }, (error, _, text) =>
        resolve({ code: error?.code, text }),
      );
    });
    assert.equal(asNobody.code, 5, asNobody.text);
    for (const [member, ...words] of [
      ['UpgradePlugin', 'ssa{ss}', name, 'v1', '1', 'canray', '5'],
      ['UpgradePlugin', 'ssa{ss}', name, 'v1', '1', 'canary', '50,5'],
      ['UpgradePlugin', 'ssa{ss}', name, 'v1', '1', 'bake', '0s'],
      ['UpgradePlugin', 'ssa{ss}', name, '../v1', '0'],
      ['UpgradePlugin', 'ssa{ss}', '../x', 'v1', '0'],
      ['RollbackPlugin', 'ss', name, 'x'.repeat(300)],
    ] as const) {
      const { status: exit, stderr } = await busctl(member, ...words);
      assert.notEqual(exit, 0, words.join(' '));
      assert.match(stderr, /'canray'|'canary'|'bake'|'version'|'why'|begin with a letter|it contains/, words.join(' '));
    }
  });
});

forEachIsolation('a reload', function (isolation) {
  this.timeout(180_000);
  const name = `reloading-${isolation}`;
  const port = 9531;

  before(async () => {
    await installVersions(name, 'v1', 'v2');
    placeScript(name, 'v3', 'exit 3');
    declare(name, declaration(port, [QUICK]));
    await systemctl('start', `plugin@${name}`);
  });
  after(() => uninstall(name));

  const reload = (): Promise<string> => systemctl('reload', `plugin@${name}`);

  it('sets limits on what runs', async () => {
    const before = pidsOf(await untilWhole(name, 1));
    declare(name, declaration(port, [QUICK, 'limits: { tasks: 40 }']));
    assert.match((await ctl('plan', name)).stdout, /what runs goes on with other limits/);
    await reload();
    const [unit = ''] = await sandboxUnits(name);
    await until('its unit has them', async () => Number(await systemctl('show', '-P', 'TasksMax', unit)) < 50);
    assert.deepEqual(pidsOf(await untilWhole(name, 1)), before);
    assert.equal((await changesOf(name)).lastUpgrade, null);
  });

  it('starts another version, or another declaration, beside what runs', async () => {
    declare(name, declaration(port, [QUICK, 'limits: { tasks: 40 }'], 'v2'));
    assert.match((await ctl('plan', name)).stdout, /version: v1 becomes v2; a reload starts new sandboxes beside/);
    await reload();
    const changed = await untilOver(name);
    assert.deepEqual([changed.kind, changed.from, changed.to, changed.outcome], ['reload', 'v1', 'v2', 'promoted']);
    assert.equal((await status(name)).version, 'v2');
    declare(name, declaration(port, [QUICK, 'limits: { tasks: 40 }', 'environment: { GREETING: hi }'], 'v2'));
    // What bulkheadctl does without a version is the same, with its progress.
    const { status: exit, stdout, stderr } = await ctl('upgrade', name);
    assert.equal(exit, 0, `${stdout}${stderr}`);
  });

  it('leaves what runs alone when that does not prove itself, and does not try it again', async () => {
    declare(name, declaration(port, [QUICK], 'v3'));
    await reload();
    await until('the change failed', async () => (await changesOf(name)).lastUpgrade?.to === 'v3');
    const failed = await untilOver(name);
    assert.equal(failed.outcome, 'rolled-back');
    const { version, state, line } = await status(name);
    assert.deepEqual([version, state], ['v2', 'running']);
    assert.match(line, /refused/);
    const why = (await ctl('why', name)).stdout;
    assert.match(why, /^Last change of version: v2 -> v3 was rolled back/m);
    assert.match(why, /exit status 3/);
    assert.ok(why.split('\n').length <= 25, why);
    assert.match((await ctl('plan', name)).stdout, /does not try it by itself, because it failed before/);
    await reload();
    await until('it was refused', async () => (await changesOf(name)).lastUpgrade?.outcome === 'refused');
    assert.equal((await changesOf(name)).lastUpgrade?.reason?.code, 'BH428');
  });
});

describe('changes of several plugins at once', function () {
  this.timeout(180_000);
  const names = ['several-1', 'several-2', 'several-3'];
  const quick = names.slice(1);

  before(async () => {
    for (const [index, name] of names.entries()) {
      await installVersions(name, 'v1', 'v2');
      declare(name, declaration(9535 + index, [index === 0 ? SLOW : QUICK]));
    }
    await systemctl('start', ...names.map((name) => `plugin@${name}`));
  });
  after(async () => {
    for (const name of names) await uninstall(name);
  });

  it('go on side by side, and one that takes its time holds up nobody', async () => {
    const [slow = ''] = names;
    assert.equal((await ctl('upgrade', slow, 'v2', '--no-wait')).status, 0);
    await untilCanary(slow);
    const results = await Promise.all(quick.map((name) => ctl('upgrade', name, 'v2')));
    for (const { status: exit, stderr } of results) assert.equal(exit, 0, stderr);
    assert.equal((await changesOf(slow)).upgrade?.step, 'canary');
    await systemctl('stop', `plugin@${slow}`);
    assert.equal((await untilOver(slow)).outcome, 'aborted');
  });
});
