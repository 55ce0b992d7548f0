import assert from 'node:assert/strict';
import { forEachIsolation } from '../../support/isolation.ts';
import { HttpLoad } from '../../support/load.ts';
import {
  installExample,
  must,
  pidsOf,
  run,
  supervisorPid,
  systemctl,
  uninstall,
  until,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';

const TREE = process.env.BULKHEAD_TREE ?? '/opt/bulkhead-test';

forEachIsolation('an upgrade of the package', function () {
  this.timeout(120_000);

  it('and back, under load, loses no request and no sandbox; the new supervisor recovers the next crash', async () => {
    installExample('upgraded', 'python', [
      'template: python',
      'version: v1',
      'listen: [{ tcp: 127.0.0.1:9141 }]',
      'pool: { size: 2 }',
      'recovery: { budget: { restarts: 50, within: 60s } }',
    ]);
    try {
      await systemctl('start', 'plugin@upgraded');
      const before = pidsOf(await untilWhole('upgraded', 2));
      const target = { host: '127.0.0.1', port: 9141 };
      const closing = new HttpLoad({ target, connections: 8, keepAlive: false });
      const keeping = new HttpLoad({ target, connections: 8, keepAlive: true, thinkMs: 1 });
      for (const which of ['newer', 'this']) {
        await closing.more(200);
        const supervisor = await supervisorPid();
        await must('dpkg', '-i', `${TREE}/packages/${which}.deb`);
        assert.notEqual(await supervisorPid(), supervisor);
        await until('it answers', async () => (await run('bulkheadctl', 'list')).status === 0);
      }
      await closing.more(200);
      assert.deepEqual((await closing.stop()).lost, []);
      assert.deepEqual((await keeping.stop()).lost, []);
      const after = await untilWhole('upgraded', 2);
      assert.deepEqual(pidsOf(after), before);
      const [victim] = after;
      assert.ok(victim?.payloadPid);
      process.kill(victim.payloadPid, 'SIGKILL');
      await untilReplaced('upgraded', 2, victim.unit);
    } finally {
      await uninstall('upgraded');
    }
  });
});
