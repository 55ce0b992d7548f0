import assert from 'node:assert/strict';
import { type Kill, killNow, unexcusedByKills } from '../../failures/losses.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import { HttpLoad, pause } from '../../support/load.ts';
import {
  declare,
  installExample,
  must,
  readySandboxes,
  run,
  sandboxUnits,
  systemctl,
  uninstall,
  until,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';

forEachIsolation('crashes', function (isolation) {
  this.timeout(120_000);

  for (const language of ['python', 'node', 'c'] as const) {
    it(`kill -9 of a ${language} payload under load costs at most the requests in its hands`, async () => {
      const name = `crash-${language}`;
      const template = language === 'c' ? 'native' : language;
      installExample(name, language, [
        `template: ${template}`,
        'version: v1',
        'listen: [{ tcp: 127.0.0.1:9111 }]',
        'pool: { size: 2 }',
        'recovery: { budget: { restarts: 50, within: 60s } }',
      ]);
      try {
        await systemctl('start', `plugin@${name}`);
        const target = { host: '127.0.0.1', port: 9111 };
        const closing = new HttpLoad({ target, connections: 8, keepAlive: false });
        const keeping = new HttpLoad({ target, connections: 8, keepAlive: true, thinkMs: 2 });
        await closing.more(200);
        const kills: Kill[] = [];
        for (let n = 0; n < 5; n++) {
          const [victim] = await untilWhole(name, 2);
          assert.ok(victim?.payloadPid);
          kills.push(killNow(victim.payloadPid));
          await untilReplaced(name, 2, victim.unit);
          await closing.more(50);
        }
        const [one, other] = [await closing.stop(), await keeping.stop()];
        assert.deepEqual(unexcusedByKills(one.lost, kills), []);
        assert.deepEqual(unexcusedByKills(other.lost, kills), []);
        // Each of the 16 connections carries one request at most.
        assert.ok(one.lost.length + other.lost.length <= 16 * kills.length);
        assert.equal((await sandboxUnits(name)).length, 2);
      } finally {
        await uninstall(name);
      }
    });
  }

  it('a payload that dies at once ends in a failed unit with the reason, without a busy loop; others do not notice', async () => {
    // A name of its own each time: the journal remembers earlier runs.
    const dying = `dying-${Date.now().toString(36)}`;
    installExample('steady', 'python', [
      'template: python',
      'version: v1',
      'listen: [{ tcp: 127.0.0.1:9112 }]',
      'pool: { size: 2 }',
    ]);
    declare(dying, [
      'template: native',
      'exec: [/bin/sh, -c, "exit 3"]',
      'recovery: { budget: { restarts: 4, within: 60s } }',
    ]);
    try {
      await systemctl('start', 'plugin@steady');
      const before = await readySandboxes('steady');
      const load = new HttpLoad({ target: { host: '127.0.0.1', port: 9112 }, connections: 8, keepAlive: false });
      const start = await run('systemctl', 'start', `plugin@${dying}`);
      // Ready as soon as it runs, so the start itself may be counted as done; what matters is the end.
      assert.ok(start.status === 0 || start.status === 1);
      await until(
        'the unit is failed',
        async () => (await run('systemctl', 'is-failed', `plugin@${dying}`)).status === 0,
      );
      const shown = (await run('systemctl', 'status', `plugin@${dying}`)).stdout;
      assert.match(shown, /Status: "BH304 .*exit status 3"/);
      assert.match(
        await must('systemctl', '--failed', '--plain', '--no-legend'),
        new RegExp(`plugin@${dying}\\.service`),
      );
      const told = await run('bulkheadctl', 'status', dying);
      assert.match(told.stdout, /BH304/);
      const starts = (
        await must('journalctl', '-o', 'cat', `BULKHEAD_PLUGIN=${dying}`, 'BULKHEAD_EVENT=starting')
      ).trim();
      assert.equal(starts.split('\n').length, 5);
      assert.deepEqual(await sandboxUnits(dying), []);
      const result = await load.stop();
      assert.deepEqual(result.lost, []);
      assert.ok(result.ok > 100);
      assert.deepEqual(
        await readySandboxes('steady').then((now) => now.map(({ unit }) => unit)),
        before.map(({ unit }) => unit),
      );
    } finally {
      await uninstall(dying);
      await uninstall('steady');
    }
  });

  it('the last words of a payload that ends at once are found, each time', async () => {
    const name = `brief-${isolation}-${Date.now().toString(36)}`;
    declare(name, [
      'template: native',
      'exec: [/bin/sh, -c, "echo last words; exit 3"]',
      'recovery: { budget: { restarts: 9, within: 60s }, backoff: { initial: 10ms, max: 20ms } }',
    ]);
    try {
      await run('systemctl', 'start', `plugin@${name}`);
      await until('it is failed', async () => (await run('systemctl', 'is-failed', `plugin@${name}`)).status === 0);
      const words = async () => (await must('bulkheadctl', 'logs', name)).match(/last words$/gm)?.length ?? 0;
      // journald may still be about to write the last ones down.
      await until('all are there', async () => (await words()) >= 10, 5000);
      assert.equal(await words(), 10);
    } finally {
      await uninstall(name);
    }
  });

  it('starts again after it has failed, when somebody asks for it', async () => {
    declare('lazarus', [
      'template: native',
      'exec: [/bin/false]',
      'recovery: { budget: { restarts: 1, within: 60s } }',
    ]);
    try {
      await run('systemctl', 'start', 'plugin@lazarus');
      await until(
        'the unit is failed',
        async () => (await run('systemctl', 'is-failed', 'plugin@lazarus')).status === 0,
      );
      declare('lazarus', ['template: native', 'exec: [/bin/sleep, "600"]']);
      await systemctl('start', 'plugin@lazarus');
      await untilWhole('lazarus', 1);
    } finally {
      await uninstall('lazarus');
    }
  });

  it('names how a payload ended', async () => {
    const endings = [
      ['exit 7', 'exit status 7'],
      ['kill -SEGV $$', 'killed by SIGSEGV'],
      ['kill -ABRT $$', 'killed by SIGABRT'],
      ['kill -KILL $$', 'killed by SIGKILL'],
    ] as const;
    for (const [script, words] of endings) {
      declare('ending', [
        'template: native',
        `exec: [/bin/sh, -c, "sleep 0.2; ${script}"]`,
        'recovery: { budget: { restarts: 0, within: 60s } }',
      ]);
      try {
        await run('systemctl', 'start', 'plugin@ending');
        await until(
          'the unit is failed',
          async () => (await run('systemctl', 'is-failed', 'plugin@ending')).status === 0,
        );
        assert.ok((await run('systemctl', 'status', 'plugin@ending')).stdout.includes(words), `${script}: ${words}`);
      } finally {
        await uninstall('ending');
      }
    }
  });

  it('a killed anchor is started again, and its sandboxes never notice', async () => {
    installExample('anchored', 'python', [
      'template: python',
      'version: v1',
      'listen: [{ tcp: 127.0.0.1:9113 }]',
      'pool: { size: 2 }',
    ]);
    try {
      await systemctl('start', 'plugin@anchored');
      const before = await readySandboxes('anchored');
      const anchor = Number((await systemctl('show', '-P', 'MainPID', 'plugin@anchored')).trim());
      process.kill(anchor, 'SIGKILL');
      await until('the next anchor', async () => {
        const [pid, state] = (await systemctl('show', '-P', 'MainPID', '-P', 'ActiveState', 'plugin@anchored'))
          .trim()
          .split('\n');
        return Number(pid) !== anchor && state === 'active';
      });
      await pause(500);
      assert.deepEqual(
        (await readySandboxes('anchored')).map(({ unit }) => unit),
        before.map(({ unit }) => unit),
      );
      assert.match(await systemctl('status', 'plugin@anchored'), /Status: "2\/2 ready/);
    } finally {
      await uninstall('anchored');
    }
  });
});
