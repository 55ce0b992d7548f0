import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { EventRecord, LearnReport, SandboxStatus } from '../../../src/control/api.ts';
import { pause } from '../../support/load.ts';
import {
  declare,
  installExample,
  killSupervisor,
  must,
  run,
  sandboxUnits,
  status,
  systemctl,
  uninstall,
  until,
  untilWhole,
} from '../../support/system.ts';

const PROBE = fileURLToPath(new URL('../../../../native/test/probe', import.meta.url));
const PORT = 9152;
const LISTS = '/etc/bulkhead/seccomp';

describe('learning what a plugin calls', function () {
  this.timeout(120_000);
  const run36 = Date.now().toString(36);

  async function learner(name: string): Promise<SandboxStatus | undefined> {
    return (await status(name)).sandboxes.find(({ learning, state }) => learning && state === 'ready');
  }

  /** Asks the plugin all the time until told to stop; every answer counts. */
  function load(): { stop(): Promise<number> } {
    let going = true;
    let answers = 0;
    const one = async (): Promise<void> => {
      while (going) {
        // A new connection each time, for one that is open stays with its sandbox.
        const headers = { connection: 'close' };
        const body = 'x'.repeat(answers % 999);
        const answer = await fetch(`http://127.0.0.1:${PORT}/`, { method: 'POST', headers, body });
        assert.equal(answer.status, 200);
        await answer.text();
        answers++;
      }
    };
    const clients = [one(), one(), one(), one()];
    return {
      async stop() {
        going = false;
        await Promise.all(clients);
        return answers;
      },
    };
  }

  it('proposes a list under requests, with which the plugin runs, and with which a forbidden call is named', async () => {
    const name = `learn-${run36}`;
    const list = `${LISTS}/${name}.list`;
    const lines = ['template: python', 'version: v1', `listen: [{ tcp: 127.0.0.1:${PORT} }]`];
    installExample(name, 'python', lines);
    try {
      await systemctl('start', `plugin@${name}`);
      const [pool] = await untilWhole(name, 1);
      const clients = load();
      const learning = must('bulkheadctl', 'learn', name, '--for', '6s', '--output', list, '--json');
      await until('it learns', async () => (await learner(name)) !== undefined);
      const shown = (await run('bulkheadctl', 'status', name)).stdout;
      assert.match(shown, /1\/1 ready, slot a, v1, 1 more learns/);
      assert.match(shown, /learning/);
      const audited = await run('bulkheadctl', 'audit', name);
      // Connections that end at each look are in no table of sockets, so that not all may be known.
      assert.match(audited.stdout, /, broken 0, /);
      assert.match(audited.stdout, /^not compared: .*: it learns/m);
      const busy = await run('bulkheadctl', 'learn', name, '--for', '1s');
      assert.equal(busy.status, 1);
      assert.match(busy.stderr, /BH312 .* is learning already/);
      const report = JSON.parse(await learning) as LearnReport;
      assert.ok((await clients.stop()) > 50);

      assert.equal(report.filter, 'python');
      assert.equal(report.ended, null);
      assert.ok(report.served);
      assert.deepEqual(report.missing, []);
      assert.deepEqual(report.refused, []);
      assert.ok(report.unused.includes('fork') && report.unused.includes('symlink'), report.unused.join());
      assert.ok(report.proposed.length < report.lines / 2, `${report.proposed.length} of ${report.lines}`);
      assert.ok(
        report.proposed.some((line) => line === 'accept4'),
        report.proposed.join(),
      );
      assert.equal(readFileSync(list, 'utf8'), report.list);
      // The pool never noticed, and the sandbox is gone.
      assert.deepEqual(
        (await untilWhole(name, 1)).map(({ payloadPid }) => payloadPid),
        [pool?.payloadPid],
      );
      await until('it is gone', async () => (await sandboxUnits(name)).length === 1);
      const events = (await must('bulkheadctl', 'events', name, '--json')).trim().split('\n');
      const kinds = events.map((line) => JSON.parse(line) as EventRecord);
      assert.ok(kinds.some(({ kind, text }) => kind === 'learning' && text.includes('for 6s')));

      declare(name, [...lines, `seccomp: ${name}`]);
      await systemctl('restart', `plugin@${name}`);
      const again = load();
      await pause(1500);
      assert.ok((await again.stop()) > 20);
      assert.equal((await status(name)).seccomp, name);
      assert.deepEqual((await status(name)).restarts.total, 0);
      assert.equal((await run('bulkheadctl', 'audit', name)).status, 0);
      await systemctl('stop', `plugin@${name}`);
      assert.match(await must('bulkheadctl', 'events', name), /stopped: exit status 0|stopped: killed by SIGTERM/);

      mkdirSync(`/opt/plugin/${name}/v2`, { recursive: true, mode: 0o755 });
      cpSync(PROBE, `/opt/plugin/${name}/v2/main`);
      const fork = process.arch === 'x64' ? '57' : '172';
      declare(name, [
        'template: native',
        'version: v2',
        `seccomp: ${name}`,
        `exec: [./main, call, "${fork}"]`,
        'recovery: { budget: { restarts: 0 } }',
      ]);
      await run('systemctl', 'start', `plugin@${name}`);
      const call = process.arch === 'x64' ? 'fork' : 'getpid';
      await until('it dies of the call', async () =>
        (await run('bulkheadctl', 'events', name)).stdout.includes(`forbidden system call '${call}' (134)`),
      );
    } finally {
      rmSync(list, { force: true });
      await uninstall(name);
    }
  });

  for (const kind of ['nspawn', 'scope'])
    it(`a sandbox that learns cannot do what none can, and its end is no death (${kind})`, async () => {
      const name = `learn-hostile-${kind}-${run36}`;
      mkdirSync(`/opt/plugin/${name}/v1`, { recursive: true, mode: 0o755 });
      cpSync(PROBE, `/opt/plugin/${name}/v1/main`);
      const unshare = process.arch === 'x64' ? '272' : '97';
      declare(name, [
        'template: native',
        'version: v1',
        `isolation: ${kind}`,
        // The pool's sandbox is the first one: it sleeps, and the one that learns makes the call.
        `exec: [./main, call-in-turn, "${process.arch === 'x64' ? '39' : '172'}", "${unshare}"]`,
      ]);
      try {
        await systemctl('start', `plugin@${name}`);
        await untilWhole(name, 1);
        const report = JSON.parse(await must('bulkheadctl', 'learn', name, '--for', '1s', '--json')) as LearnReport;
        assert.deepEqual(report.refused, ['unshare']);
        assert.ok(!report.proposed.includes('unshare'));
        assert.match(report.list, /^# Called, refused while learning, and not here: unshare$/m);
        assert.equal((await status(name)).restarts.recent, 0);
        await untilWhole(name, 1);
      } finally {
        await uninstall(name);
      }
    });

  it('ends with the supervisor, and with the plugin', async () => {
    const name = `learn-ends-${run36}`;
    installExample(name, 'python', ['template: python', 'version: v1', `listen: [{ tcp: 127.0.0.1:${PORT} }]`]);
    try {
      await systemctl('start', `plugin@${name}`);
      await untilWhole(name, 1);
      const lost = run('bulkheadctl', 'learn', name, '--for', '50s');
      await until('it learns', async () => (await learner(name)) !== undefined);
      await killSupervisor();
      assert.notEqual((await lost).status, 0);
      await until('only the pool is left', async () => (await sandboxUnits(name)).length === 1);
      await untilWhole(name, 1);
      assert.equal((await status(name)).restarts.recent, 0);

      const cut = run('bulkheadctl', 'learn', name, '--for', '50s', '--json');
      await until('it learns', async () => (await learner(name)) !== undefined);
      await systemctl('stop', `plugin@${name}`);
      const { status: ended, stdout } = await cut;
      assert.equal(ended, 0);
      assert.ok((JSON.parse(stdout) as LearnReport).calls > 20, stdout);
      assert.deepEqual(await sandboxUnits(name), []);
    } finally {
      await uninstall(name);
    }
  });

  it('is refused for a plugin that does not run, and for who may not control plugins', async () => {
    const name = `learn-off-${run36}`;
    installExample(name, 'python', ['template: python', 'version: v1']);
    try {
      const { status: ended, stderr } = await run('bulkheadctl', 'learn', name);
      assert.equal(ended, 1);
      assert.match(stderr, /BH312/);
      const nobody = await run('setpriv', '--reuid=65534', '--clear-groups', 'bulkheadctl', 'learn', name);
      assert.equal(nobody.status, 5, nobody.stderr);
    } finally {
      await uninstall(name);
    }
  });
});
