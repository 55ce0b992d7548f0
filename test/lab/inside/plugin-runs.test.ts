import assert from 'node:assert/strict';
import { sandboxUnitName } from '../../../src/plan/identity.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import { HttpLoad } from '../../support/load.ts';
import {
  installExample,
  must,
  readySandboxes,
  run,
  sandboxUnits,
  status,
  systemctl,
  uninstall,
  untilWhole,
} from '../../support/system.ts';

const PORTS = { python: 9101, node: 9102, c: 9103 } as const;
const TEMPLATES = { python: 'python', node: 'node', c: 'native' } as const;

forEachIsolation('a plugin of three lines', function (isolation) {
  this.timeout(120_000);

  for (const language of ['python', 'node', 'c'] as const) {
    it(`in ${language} serves 10,000 requests, none lost, with and without keep-alive`, async () => {
      const name = `three-${language}`;
      const port = PORTS[language];
      installExample(name, language, [
        `template: ${TEMPLATES[language]}`,
        'version: v1',
        `listen: [{ tcp: 127.0.0.1:${port} }]`,
      ]);
      try {
        await systemctl('start', `plugin@${name}`);
        const target = { host: '127.0.0.1', port };
        const kept = await new HttpLoad({ target, connections: 32, keepAlive: true, requests: 8000 }).finished();
        assert.deepEqual({ ok: kept.ok, lost: kept.lost }, { ok: 8000, lost: [] });
        const closed = await new HttpLoad({ target, connections: 32, keepAlive: false, requests: 2000 }).finished();
        assert.deepEqual({ ok: closed.ok, lost: closed.lost }, { ok: 2000, lost: [] });
      } finally {
        await uninstall(name);
      }
    });
  }

  it('starts all of its sandboxes while somebody asks systemd for those that are not there yet', async () => {
    const size = 16;
    // Never used before, so that generations begin with 1.
    const name = `asked${Date.now().toString(36)}`;
    installExample(name, 'c', [
      'template: native',
      'version: v1',
      'listen: [{ tcp: 127.0.0.1:9110 }]',
      `pool: { size: ${size} }`,
      'recovery: { budget: { restarts: 0 } }',
    ]);
    const units = Array.from({ length: size }, (_, index) => sandboxUnitName(name, 'a', index + 1, isolation));
    let asks = true;
    // systemd makes a unit of each name that it is asked for, and tells of its removal a moment later.
    const asking = (async () => {
      while (asks) await must('systemctl', 'show', '--property=LoadState', ...units);
    })();
    try {
      await systemctl('start', `plugin@${name}`);
      const ready = (await untilWhole(name, size)).map(({ unit }) => unit);
      assert.deepEqual(ready.sort(), [...units].sort());
      assert.equal((await status(name)).restarts.total, 0);
    } finally {
      asks = false;
      await asking;
      await uninstall(name);
    }
  });

  it('listens on Unix sockets and IPv6, too', async () => {
    installExample('families', 'python', [
      'template: python',
      'version: v1',
      'pool: { size: 2 }',
      'listen:',
      '  - tcp: "[::1]:9104"',
      '  - { unix: /run/plugin/families.sock, mode: "0666" }',
    ]);
    try {
      await systemctl('start', 'plugin@families');
      for (const target of [{ host: '::1', port: 9104 }, { path: '/run/plugin/families.sock' }]) {
        const { ok, lost } = await new HttpLoad({ target, connections: 8, keepAlive: true, requests: 500 }).finished();
        assert.deepEqual({ ok, lost }, { ok: 500, lost: [] });
      }
    } finally {
      await uninstall('families');
    }
    assert.notEqual((await run('test', '-e', '/run/plugin/families.sock')).status, 0);
  });

  it('can be declared in an [X-Plugin] section of its unit', async () => {
    installExample('by-unit', 'python', []);
    await must(
      'sh',
      '-c',
      'rm /etc/bulkhead/plugins/by-unit.yaml; mkdir -p /etc/systemd/system/plugin@by-unit.service.d',
    );
    const section = `[X-Plugin]\\ntemplate=python\\nversion=v1\\nisolation=${isolation}\\nlisten=tcp:127.0.0.1:9105\\n`;
    await must('sh', '-c', `printf '${section}' > /etc/systemd/system/plugin@by-unit.service.d/plugin.conf`);
    try {
      await systemctl('daemon-reload');
      await systemctl('start', 'plugin@by-unit');
      assert.match(await must('curl', '-sS', 'http://127.0.0.1:9105/'), /hello/);
    } finally {
      await uninstall('by-unit');
      await must('rm', '-r', '/etc/systemd/system/plugin@by-unit.service.d');
      await systemctl('daemon-reload');
    }
  });

  it('does what a systemd user expects of start, status, restart, enable and stop', async () => {
    installExample('verbs', 'python', [
      'template: python',
      'version: v1',
      'listen: [{ tcp: 127.0.0.1:9106 }]',
      'pool: { size: 2 }',
    ]);
    try {
      await systemctl('enable', '--now', 'plugin@verbs');
      assert.match(await systemctl('status', 'plugin@verbs'), /Status: "2\/2 ready, slot a, v1"/);
      assert.equal((await systemctl('is-enabled', 'plugin@verbs')).trim(), 'enabled');
      const before = await readySandboxes('verbs');
      await systemctl('restart', 'plugin@verbs');
      const after = await untilWhole('verbs', 2);
      assert.ok(before.every(({ unit }) => !after.some((sandbox) => sandbox.unit === unit)));
      await systemctl('disable', '--now', 'plugin@verbs');
      assert.deepEqual(await sandboxUnits('verbs'), []);
      assert.equal((await run('systemctl', 'is-active', 'plugin@verbs')).stdout.trim(), 'inactive');
      assert.notEqual((await run('curl', '-sS', 'http://127.0.0.1:9106/')).status, 0);
    } finally {
      await uninstall('verbs');
    }
  });

  it('stops without a supervisor, too', async () => {
    installExample('alone', 'python', [
      'template: python',
      'version: v1',
      'listen: [{ tcp: 127.0.0.1:9107 }]',
      'pool: { size: 2 }',
    ]);
    try {
      await systemctl('start', 'plugin@alone');
      await systemctl('stop', 'bulkheadd');
      assert.match(await must('curl', '-sS', 'http://127.0.0.1:9107/'), /hello/);
      await systemctl('stop', 'plugin@alone');
      assert.deepEqual(await sandboxUnits('alone'), []);
    } finally {
      await systemctl('start', 'bulkheadd');
      await uninstall('alone');
    }
    assert.notEqual((await run('curl', '-sS', 'http://127.0.0.1:9107/')).status, 0);
  });

  it('keeps serving over stop and start of the supervisor', async () => {
    installExample('stopstart', 'python', [
      'template: python',
      'version: v1',
      'listen: [{ tcp: 127.0.0.1:9108 }]',
      'pool: { size: 2 }',
    ]);
    try {
      await systemctl('start', 'plugin@stopstart');
      const before = await readySandboxes('stopstart');
      const load = new HttpLoad({ target: { host: '127.0.0.1', port: 9108 }, connections: 8, keepAlive: false });
      await load.more(100);
      await systemctl('stop', 'bulkheadd');
      await load.more(100);
      await systemctl('start', 'bulkheadd');
      await load.more(100);
      assert.deepEqual((await load.stop()).lost, []);
      assert.deepEqual(
        (await untilWhole('stopstart', 2)).map(({ unit }) => unit),
        before.map(({ unit }) => unit),
      );
    } finally {
      await uninstall('stopstart');
    }
  });
});
