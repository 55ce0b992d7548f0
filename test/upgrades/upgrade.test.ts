import assert from 'node:assert/strict';
import { describeLosses, ExactLoad } from '../support/exact-load.ts';
import { forEachIsolation } from '../support/isolation.ts';
import { declare, killSupervisor, must, status, systemctl, uninstall, until, untilWhole } from '../support/system.ts';
import { changesOf, ctl, Following, installVersions, untilCanary, untilOver } from './changes.ts';

const NAME = 'changing';
const PORT = 9520;
const SIZE = 2;

forEachIsolation('an upgrade', function (isolation) {
  this.timeout(120_000);
  const name = `${NAME}-${isolation}`;
  let load: ExactLoad;

  before(async () => {
    await installVersions(name, 'v1', 'v2', 'v3');
    declare(name, [
      'template: native',
      'version: v1',
      `listen: [{ tcp: 127.0.0.1:${PORT} }]`,
      `pool: { size: ${SIZE} }`,
      // What others do to the times on this machine says nothing of a version.
      'upgrade: { canary: [50%], bake: 3s, judge: { samples: 5, latency: infinity, memory: infinity } }',
    ]);
    await systemctl('start', `plugin@${name}`);
    await untilWhole(name, SIZE);
    load = new ExactLoad({ to: `127.0.0.1:${PORT}`, connections: 4, keepAlive: false, thinkMs: [2, 10] });
    await load.more(20);
  });

  // One test that fails is not to be found in the next one.
  afterEach(async () => {
    if ((await changesOf(name)).upgrade !== null) await untilOver(name);
  });

  after(async () => {
    load?.release();
    await uninstall(name);
  });

  it('goes by its steps, shows both sides, and tells who wanted it and what for', async () => {
    // Time enough for all the questions, on a machine that is busy otherwise.
    const following = new Following('upgrade', name, 'v2', '--why', 'a new greeting', '--bake', '10s');
    try {
      await untilCanary(name);
      const { upgrade, version, line } = await status(name);
      assert.equal(version, 'v1', 'the old one is live until the new one has proved itself');
      assert.deepEqual(
        [upgrade?.from, upgrade?.to, upgrade?.by, upgrade?.why],
        ['v1', 'v2', 'uid 0', 'a new greeting'],
      );
      assert.deepEqual([upgrade?.old.weight, upgrade?.new.weight], [50, 50]);
      assert.deepEqual([upgrade?.old.ready, upgrade?.new.ready], [SIZE, SIZE]);
      assert.match(line, /v1 -> v2: canary 50 %/);
      const shown = (await ctl('status', name)).stdout;
      assert.match(shown, /Change: v1 -> v2: /);
      assert.match(shown, /slot [ab]: v2, 50 % of new connections, 2\/2 ready/);
      assert.match((await ctl('list')).stdout, new RegExp(`${name} .*v1 -> v2: `));
      assert.match((await ctl('why', name)).stdout, /v1 -> v2: .*"bulkheadctl upgrade .*" shows it/);
      await until('the status line of the unit tells of it', async () =>
        /v1 -> v2: /.test(await systemctl('show', '-P', 'StatusText', `plugin@${name}`)),
      );
      assert.equal(await following.ended, 0, following.err);
      const steps = [...new Set(following.seen.map(({ step }) => step))];
      assert.deepEqual([steps.includes('canary'), steps.at(-1)], [true, 'draining'], steps.join(' '));
      assert.ok(following.seen.some(({ weight, new: side }) => weight === 50 && (side.signals?.requests ?? 0) > 0));
      assert.ok(following.seen.some(({ judgement }) => judgement?.rows.some(({ signal }) => signal === 'errors')));
      assert.equal(following.outcome?.outcome, 'promoted');
    } finally {
      following.release();
    }
    const { version, previousVersion, upgrade } = await status(name);
    assert.deepEqual([version, previousVersion, upgrade], ['v2', 'v1', null]);
    const events = (await ctl('events', name)).stdout;
    assert.match(events, /upgrade to 'v2' asked for by uid 0, pid \d+: a new greeting/);
    for (const kind of ['upgrading', 'weighed', 'upgraded']) assert.match(events, new RegExp(` ${kind}: `));
    const entry = ['-u', 'bulkheadd', '-x', `BULKHEAD_UPGRADE=${following.outcome?.id}`, 'BULKHEAD_EVENT=upgraded'];
    assert.match(await must('journalctl', ...entry), /has changed to another version/);
  });

  it('is gone back from at once, and only once', async () => {
    const { status: exit, stdout, stderr } = await ctl('rollback', name, '--why', 'v1 was nicer');
    assert.equal(exit, 0, stderr);
    assert.match(stdout, /: v1 is live\n$/);
    assert.doesNotMatch(stderr, /canary/);
    const { version, previousVersion } = await status(name);
    assert.deepEqual([version, previousVersion], ['v1', null]);
    const again = await ctl('rollback', name);
    assert.equal(again.status, 7);
    assert.match(again.stderr, /BH427/);
  });

  it('holds over a restart of the plugin, until somebody edits the declaration', async () => {
    assert.equal((await ctl('upgrade', name, 'v2', '--canary', '100', '--bake', '1s')).status, 0);
    load.release();
    await systemctl('restart', `plugin@${name}`);
    assert.equal((await status(name)).version, 'v2');
    assert.match((await ctl('plan', name)).stdout, /version +v2 +# upgrade of \d{4}-\d\d-\d\d by uid 0/);
    load = new ExactLoad({ to: `127.0.0.1:${PORT}`, connections: 4, keepAlive: false, thinkMs: [2, 10] });
    await load.more(20);
  });

  it('is undone by hand in its canary, and not tried again without being told to', async () => {
    const following = new Following('upgrade', name, 'v3', '--bake', '10s');
    try {
      await untilCanary(name);
      const { status: exit, stderr } = await ctl('rollback', name, '--why', 'not now');
      assert.equal(exit, 0, stderr);
      assert.equal(await following.ended, 6);
      assert.equal(following.outcome?.reason?.code, 'BH324');
    } finally {
      following.release();
    }
    const { version, failedVersions } = await status(name);
    assert.equal(version, 'v2');
    assert.deepEqual(
      failedVersions.map((failed) => [failed.version, failed.reason.code]),
      [['v3', 'BH324']],
    );
    const why = (await ctl('why', name)).stdout;
    assert.match(why, /^Last change of version: v2 -> v3 was rolled back, /m);
    assert.match(why, /BH324 .*not now/);
    assert.ok(why.split('\n').length <= 25, why);
    const again = await ctl('upgrade', name, 'v3');
    assert.equal(again.status, 7);
    assert.match(again.stdout, /BH428/);
  });

  it('is followed by another bulkheadctl when the first one was ended', async () => {
    const first = new Following('upgrade', name, 'v3', '--force', '--bake', '5s');
    let second: Following | undefined;
    try {
      const { id } = await untilCanary(name);
      first.interrupt();
      assert.equal(await first.ended, 8);
      assert.match(first.err, new RegExp(`${id} goes on; "bulkheadctl upgrade ${name}" shows it again`));
      second = new Following('upgrade', name);
      assert.equal(await second.ended, 0, second.err);
      assert.equal(second.outcome?.id, id);
    } finally {
      first.release();
      second?.release();
    }
    assert.equal((await status(name)).version, 'v3');
    assert.deepEqual((await status(name)).failedVersions, [], 'what has proved itself has not failed');
  });

  it('goes on when the supervisor is killed in its canary', async () => {
    const following = new Following('upgrade', name, 'v1', '--bake', '5s');
    try {
      const { id } = await untilCanary(name);
      await killSupervisor();
      assert.equal(await following.ended, 0, following.err);
      assert.equal(following.outcome?.id, id);
    } finally {
      following.release();
    }
    assert.equal((await status(name)).version, 'v1');
  });

  it('has lost no request in all of this', async () => {
    await untilOver(name);
    await load.more(50);
    const account = await load.stop();
    assert.equal(account.lost, 0, `${account.lost} of ${account.asked}\n${describeLosses(account)}`);
    assert.equal((await changesOf(name)).upgrade, null);
    await untilWhole(name, SIZE);
  });
});
