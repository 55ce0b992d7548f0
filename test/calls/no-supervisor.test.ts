import assert from 'node:assert/strict';
import type { PluginClient } from '../../src/rpc/client/client.ts';
import { pause } from '../support/load.ts';
import { killSupervisor, readySandboxes, supervisorBack, supervisorPid, uninstall, until } from '../support/system.ts';
import { CallLoad, describeFailed } from './call-load.ts';
import { LANGUAGES, PATIENCE_MS, startCalled } from './called-plugin.ts';

const SIZE = 2;
const DEATHS = 5;

describe('a supervisor that is killed while a plugin is called', function () {
  this.timeout(300_000);

  for (const each of LANGUAGES)
    it(`is noticed by no call of ${each.language}`, async () => {
      const name = `orphaned-${each.language}`;
      let client: PluginClient | undefined;
      try {
        const called = await startCalled(name, each, { size: SIZE, standby: 1 });
        client = called;
        const load = new CallLoad(called, {
          ...{ callers: 16, method: 'echo', params: (n) => [n], idempotent: false, timeoutMs: PATIENCE_MS },
          right: (answer, n) => answer === n,
        });
        for (let n = 0; n < DEATHS; n++) {
          const before = load.good;
          await killSupervisor();
          await until('more calls', () => load.good > before + 100);
          await until('discovery is connected again', () => called.statistics().discovery === true);
        }
        await load.stop();
        assert.deepEqual([load.failed.length, load.wrong], [0, 0], describeFailed(load.failed));
        const { retries } = called.statistics().calls;
        assert.equal(retries, 0);
      } finally {
        await client?.close();
        await uninstall(name);
      }
    });

  it('costs no call that may be made twice when a sandbox dies meanwhile', async () => {
    const name = 'orphaned-twice';
    const [each] = LANGUAGES;
    assert.ok(each !== undefined);
    let client: PluginClient | undefined;
    try {
      client = await startCalled(name, each, { size: SIZE });
      const load = new CallLoad(client, {
        ...{ callers: 8, method: 'echo', params: (n) => [n], idempotent: true, timeoutMs: PATIENCE_MS },
        right: (answer, n) => answer === n,
      });
      const [victim] = await readySandboxes(name);
      const pid = await supervisorPid();
      process.kill(pid, 'SIGKILL');
      process.kill(victim?.payloadPid ?? 0, 'SIGKILL');
      await supervisorBack(pid);
      await pause(500);
      await load.stop();
      assert.deepEqual([load.failed.length, load.wrong], [0, 0], describeFailed(load.failed));
    } finally {
      await client?.close();
      await uninstall(name);
    }
  });
});
