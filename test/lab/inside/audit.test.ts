import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { WALLS } from '../../../src/audit/finding.ts';
import { CGROUP_ROOT } from '../../../src/kernel/cgroup.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import { pause } from '../../support/load.ts';
import { declare, killSupervisor, run, supervisorPid, uninstall } from '../../support/system.ts';
import { audit, expectWhole, NAMES, removeAll, startAll, TAKER, TAKER_SOCKET, wrong } from './audit-lab.ts';

forEachIsolation('bulkheadctl audit', function () {
  this.timeout(180_000);

  before(startAll);
  after(removeAll);

  describe('finds nothing wrong', () => {
    for (const name of NAMES) {
      it(`with ${name}`, async () => {
        for (let round = 0; round < 3; round++) {
          const { status, report } = await audit(name);
          assert.deepEqual(wrong(report), []);
          assert.equal(status, 0);
          assert.equal(report.sandboxes.length, 1);
          const told = new Set(report.sandboxes[0]?.findings.map(({ wall }) => wall));
          assert.deepEqual([...told], [...WALLS]);
          assert.ok((report.sandboxes[0]?.processes ?? 0) >= 2);
        }
      });
    }

    it('with connections that were accepted, of both families', async () => {
      const sockets = [connect({ host: '127.0.0.1', port: 9331 }), connect({ path: TAKER_SOCKET })];
      try {
        await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.on('connect', resolve))));
        sockets[0]?.write('GET / HTTP/1.1\r\n');
        await pause(200);
        await expectWhole('audit-python');
        await expectWhole(TAKER);
      } finally {
        for (const socket of sockets) socket.destroy();
      }
    });

    it('after the supervisor was killed', async () => {
      const before = await supervisorPid();
      await killSupervisor();
      assert.notEqual(await supervisorPid(), before);
      for (const name of NAMES) await expectWhole(name);
    });
  });

  it('says what the host does not enforce, which fails only with --strict', async () => {
    const controllers = readFileSync(`${CGROUP_ROOT}/cgroup.controllers`, 'utf8').split(/\s+/);
    const enforced = ['memory', 'pids'].every((name) => controllers.includes(name));
    const { status, report } = await audit('audit-c');
    const strict = await audit('audit-c', '--strict');
    assert.deepEqual([status, report.verdict], [0, enforced ? 'holds' : 'not-enforced']);
    assert.equal(strict.status, enforced ? 0 : 1);
    const memory = report.sandboxes[0]?.findings.find(({ wanted }) => /^memory \d+$/.test(wanted));
    assert.equal(memory?.verdict, controllers.includes('memory') ? 'holds' : 'not-enforced');
  });

  it('ends with 3 for a plugin that does not run, and 4 for one that there is not', async () => {
    const name = 'audit-stopped';
    declare(name, ['template: native', 'exec: [/bin/true]']);
    try {
      const { status, report } = await audit(name);
      assert.deepEqual([status, report.verdict, report.state, report.sandboxes], [3, null, 'stopped', []]);
      assert.equal((await run('bulkheadctl', 'audit', 'audit-nobody')).status, 4);
    } finally {
      await uninstall(name);
    }
  });

  it('is refused to a user without rights', async () => {
    const { status, stderr } = await run(
      'setpriv',
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      'bulkheadctl',
      'audit',
      'audit-c',
    );
    assert.equal(status, 5, stderr);
    assert.match(stderr, /BH403/);
  });
});
