import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { expectWhole } from '../../lab/inside/audit-lab.ts';
import { ask, CLIENT_PROGRAM } from '../../lab/inside/network-lab.ts';
import { declare, must, systemctl, uninstall, untilWhole } from '../../support/system.ts';

/** Ample for an emulated machine: only a hang takes longer. */
const PATIENCE_MS = 300_000;
const ANSWER_MS = 120_000;
const NAME = 'connected';
const CLIENT = 9141;
const TARGET = 9142;

/** Only here are there controllers, which forbid processes in a group that has other groups below it (cgroups(7)). */
describe('a forwarder under cgroup controllers', function () {
  this.timeout(PATIENCE_MS);
  let server: Server | undefined;
  before(async () => {
    const made = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk) => socket.write(chunk));
      socket.on('end', () => socket.end('END'));
    });
    server = made;
    await new Promise<void>((resolve) => made.listen(TARGET, '127.0.0.1', resolve));
  });
  after(() => server?.close());
  afterEach(() => uninstall(NAME));

  for (const isolation of ['nspawn', 'scope']) {
    it(`is in the unit, counts as the plugin, and is room in its limits, in ${isolation}`, async () => {
      declare(NAME, [
        'template: python',
        `exec: [/usr/bin/python3, -c, ${JSON.stringify(CLIENT_PROGRAM)}]`,
        `isolation: ${isolation}`,
        `listen: [{ tcp: 127.0.0.1:${CLIENT} }]`,
        `network: { egress: [127.0.0.1:${TARGET}, name.test:1] }`,
        'limits: { memory: 128M, tasks: 20 }',
        'health: { start-timeout: 2min }',
      ]);
      await systemctl('start', `plugin@${NAME}`);
      const [sandbox] = await untilWhole(NAME, 1, ANSWER_MS);
      const cgroup = sandbox?.cgroup ?? '';
      const file = (name: string) => readFileSync(`/sys/fs/cgroup${cgroup}/${name}`, 'utf8').trim();
      assert.equal(await ask(CLIENT, { kind: 'exchange', host: '127.0.0.1', port: TARGET, bytes: 1 << 20 }), 'whole');
      // Forwarder and reader on top of what every sandbox has.
      assert.equal(file('pids.max'), isolation === 'nspawn' ? '25' : '24');
      const pids = (await must('pgrep', '-x', 'plugin-egress|egress-reader')).trim().split('\n');
      assert.equal(pids.length, 2);
      for (const pid of pids)
        assert.ok(readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().startsWith(`0::${cgroup}`), pid);
      assert.ok(Number(file('pids.current')) >= (isolation === 'nspawn' ? 6 : 5), file('pids.current'));
      await expectWhole(NAME);
    });
  }
});
