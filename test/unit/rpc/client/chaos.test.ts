import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CallError, connect } from '../../../../src/rpc/client/client.ts';
import { DiscoveryServer } from '../../../support/discovery-server.ts';
import { RpcServer, type Script } from '../../../support/rpc-server.ts';
import { tries } from '../../../support/thorough.ts';
import { until } from '../../../support/until.ts';

/** Answers after a moment; writes are counted. */
function worker(writes: Map<unknown, number>): Script {
  return {
    request: ({ id, method, params }, connection) => {
      const [key] = params;
      if (method === 'write') writes.set(key, (writes.get(key) ?? 0) + 1);
      setTimeout(() => connection.send([1, id, null, key]), Math.random() * 5);
    },
  };
}

describe('rpc client: sandboxes that are killed all the time', () => {
  it('lose no call that may be repeated, run none twice that may not, and say of each whether it may have run', async function () {
    this.timeout(60_000);
    const directory = mkdtempSync(join(tmpdir(), 'client-'));
    const discovery = await DiscoveryServer.listen(join(directory, 'discovery'));
    const writes = new Map<unknown, number>();
    const living = new Map<number, RpcServer>();
    let generation = 0;
    const add = async (): Promise<void> => {
      generation++;
      living.set(generation, await RpcServer.listen(join(directory, `${generation}`), worker(writes)));
    };
    const tell = (): void =>
      discovery.sandboxes(
        ...[...living.keys()].map((each) => ({ generation: each, socket: join(directory, `${each}`) })),
      );
    for (let each = 0; each < 3; each++) await add();
    tell();
    const client = connect('test', { discovery: join(directory, 'discovery'), idempotent: ['read'], slowMs: 20_000 });
    await client.ready();

    let over = false;
    const failures: { readonly key: number; readonly error: CallError }[] = [];
    const written = new Set<number>();
    const open = new Set<number>();
    let made = 0;
    let reads = 0;
    const caller = async (): Promise<void> => {
      while (!over) {
        const key = made++;
        open.add(key);
        const method = Math.random() < 0.5 ? 'read' : 'write';
        try {
          assert.equal(await client.call(method, [key], { timeoutMs: 30_000 }), key);
          if (method === 'read') reads++;
          else written.add(key);
        } catch (error) {
          assert.ok(error instanceof CallError, String(error));
          assert.equal(method, 'write', `a read failed: ${error.code} ${error.message}`);
          failures.push({ key, error });
        }
        open.delete(key);
      }
    };
    const callers = Array.from({ length: 20 }, caller);
    const kills = tries(200);
    for (let kill = 0; kill < kills; kill++) {
      // A call that may be repeated is made three times at most: nobody is to meet three deaths.
      const met = [...open];
      await until(() => !met.some((key) => open.has(key)));
      const [dead] = [...living.keys()];
      if (dead === undefined) break;
      living.get(dead)?.die();
      living.delete(dead);
      await add();
      discovery.crash(dead, `incident-${dead}`);
      tell();
    }
    over = true;
    await Promise.all(callers);

    assert.ok(reads > 50, `${reads} reads`);
    for (const [key, times] of writes) assert.equal(times, 1, `write ${String(key)}`);
    for (const key of written) assert.equal(writes.get(key), 1);
    for (const { key, error } of failures) {
      assert.equal(error.code, 'sandbox-died');
      assert.equal(error.incident, `incident-${error.generation}`);
      if (error.begun === 'no') assert.equal(writes.get(key), undefined);
    }
    const { open: left, failed, succeeded } = client.statistics().calls;
    assert.deepEqual([left, succeeded + failures.length], [0, made]);
    assert.equal(failed['sandbox-died'] ?? 0, failures.length);
    assert.ok(failures.length > 0, 'no write was in the hands of any that died');
    await client.close();
    await until(() => [...living.values()].every(({ connections }) => connections.size === 0));
    for (const server of living.values()) server.die();
    discovery.die();
    rmSync(directory, { recursive: true });
  });
});
