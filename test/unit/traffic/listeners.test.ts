import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, constants, readFileSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { Failure } from '../../../src/base/failure.ts';
import type { Listen } from '../../../src/declare/declaration.ts';
import { isListening, listenTcp, socketAddress } from '../../../src/kernel/native.ts';
import { listenerKey, slotKey } from '../../../src/plan/listener-key.ts';
import type { PlannedListener } from '../../../src/plan/plan.ts';
import { LISTENER_PREFIX, Listeners, type Moved } from '../../../src/traffic/listeners.ts';
import { prepare } from '../../native/native-programs.ts';
import { KeptDescriptors } from '../../support/kept-descriptors.ts';

/** A port that nobody listens at. */
function freePort(): number {
  const fd = listenTcp({ host: '127.0.0.1', port: 0, backlog: 1, reusePort: true });
  const address = socketAddress(fd);
  closeSync(fd);
  return 'port' in address ? address.port : 0;
}

function planned(plugin: string, port: number, host = '127.0.0.1'): PlannedListener {
  const listen: Listen = { kind: 'tcp', host, port, name: 'web', backlog: 4096 };
  return { key: listenerKey(plugin, listen), listen };
}

function connected(port: number, host: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host, port }, () => resolve(socket));
    socket.on('error', reject);
  });
}

describe('listeners', function () {
  this.timeout(20_000);
  before(prepare);
  let store: KeptDescriptors;
  const sockets: Socket[] = [];
  const all: Listeners[] = [];

  function make(): Listeners {
    const made = new Listeners(store, store.inherited());
    all.push(made);
    return made;
  }

  beforeEach(() => {
    store = new KeptDescriptors();
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const listeners of all.splice(0)) listeners.closeAll('p');
    store.clear();
  });

  /** Connects so often; how many wait in the queues of a and of b after that, beside those that did before. */
  async function share(listeners: Listeners, { key, listen }: PlannedListener, count: number): Promise<number[]> {
    const before = listeners.standing(key).map(({ queued }) => queued ?? 0);
    assert.ok(listen.kind === 'tcp');
    const { host, port } = listen;
    sockets.push(...(await Promise.all(Array.from({ length: count }, () => connected(port, host)))));
    return listeners.standing(key).map(({ queued }, slot) => (queued ?? 0) - (before[slot] ?? 0));
  }

  for (const host of ['127.0.0.1', '::1']) {
    it(`sends connections to ${host} to the slots as they are weighed, all or nothing exactly`, async () => {
      const listeners = make();
      const address = planned('p', freePort(), host);
      const sides = { a: [address], b: [address] };
      await listeners.ensure('p', sides, { live: 'a', other: 0 });
      assert.deepEqual(await share(listeners, address, 100), [100, 0]);
      listeners.weigh('p', { live: 'a', other: 100 });
      assert.deepEqual(await share(listeners, address, 100), [0, 100]);
      listeners.weigh('p', { live: 'b', other: 0 });
      assert.deepEqual(await share(listeners, address, 100), [0, 100]);
      listeners.weigh('p', { live: 'b', other: 100 });
      assert.deepEqual(await share(listeners, address, 100), [100, 0]);
      listeners.weigh('p', { live: 'a', other: 25 });
      const [, b = 0] = await share(listeners, address, 800);
      // 25 % of 800 are 200; six standard deviations are 74.
      assert.ok(Math.abs(b - 200) < 74, `${b} of 800`);
      assert.deepEqual(
        listeners.standing(address.key).map(({ slot, weight }) => [slot, weight]),
        [
          ['a', 75],
          ['b', 25],
        ],
      );
    });
  }

  it('sends all connections to the slot that alone listens', async () => {
    const listeners = make();
    const [both, old, young] = [planned('p', freePort()), planned('p', freePort()), planned('p', freePort())];
    await listeners.ensure('p', { a: [both, old], b: [both, young] }, { live: 'a', other: 0 });
    assert.deepEqual(await share(listeners, young, 20), [0, 20]);
    listeners.weigh('p', { live: 'a', other: 100 });
    assert.deepEqual(await share(listeners, old, 20), [20, 0]);
    assert.deepEqual(await share(listeners, both, 20), [0, 20]);
    await listeners.ensure('p', { b: [both, young] }, { live: 'b', other: 0 });
    assert.deepEqual(listeners.standing(old.key), []);
    assert.equal(listeners.descriptor(slotKey(old.key, 'b')), undefined);
    assert.deepEqual(await share(listeners, both, 20), [0, 20]);
  });

  it('goes on with what an earlier supervisor left, in its order, with what waits in the queues', async () => {
    const address = planned('p', freePort());
    const sides = { a: [address], b: [address] };
    const first = make();
    await first.ensure('p', sides, { live: 'a', other: 100 });
    assert.deepEqual(await share(first, address, 10), [0, 10]);
    const next = make();
    assert.deepEqual(next.closeInheritedBut(new Set([address.key])), []);
    await next.ensure('p', sides, { live: 'a', other: 100 });
    assert.deepEqual(await share(next, address, 10), [0, 10]);
    assert.deepEqual(
      next.standing(address.key).map(({ queued }) => queued),
      [0, 20],
    );
    next.weigh('p', { live: 'a', other: 0 });
    assert.deepEqual(await share(next, address, 10), [10, 0]);
    first.closeAll('p');
  });

  it('gives an address of an older version, which has one listener, the second one', async () => {
    const address = planned('p', freePort());
    const first = make();
    await first.ensure('p', { a: [address] }, { live: 'a', other: 0 });
    await share(first, address, 5);
    store.remove(`${LISTENER_PREFIX}${slotKey(address.key, 'b')}`);
    const inherited = store.inherited();
    first.closeAll('p');
    store.store(`${LISTENER_PREFIX}${address.key}`, inherited.get(address.key) ?? -1);
    const next = new Listeners(store, inherited);
    all.push(next);
    await next.ensure('p', { a: [address], b: [address] }, { live: 'a', other: 0 });
    assert.deepEqual(
      next.standing(address.key).map(({ queued }) => queued),
      [5, 0],
    );
    assert.deepEqual(await share(next, address, 20), [20, 0]);
    next.weigh('p', { live: 'a', other: 100 });
    assert.deepEqual(await share(next, address, 20), [0, 20]);
  });

  it('does not take a second listener for the first one', async () => {
    const address = planned('p', freePort());
    const first = make();
    await first.ensure('p', { a: [address] }, { live: 'a', other: 0 });
    const inherited = store.inherited();
    first.closeAll('p');
    closeSync(inherited.get(address.key) ?? -1);
    inherited.delete(address.key);
    const next = new Listeners(store, inherited);
    all.push(next);
    await next.ensure('p', { a: [address] }, { live: 'a', other: 0 });
    assert.deepEqual(await share(next, address, 20), [20, 0]);
    assert.deepEqual([...store.fds.keys()].sort(), [
      `${LISTENER_PREFIX}${address.key}`,
      `${LISTENER_PREFIX}${slotKey(address.key, 'b')}`,
    ]);
  });

  it('leaves nothing behind, neither here nor in the store', async () => {
    const listeners = make();
    const address = planned('p', freePort());
    await listeners.ensure('p', { a: [address] }, { live: 'a', other: 0 });
    const fd = listeners.copy(slotKey(address.key, 'b'));
    assert.equal(isListening(fd), true);
    closeSync(fd);
    listeners.closeAll('p');
    assert.deepEqual([...store.fds.keys()], []);
    assert.throws(() => listeners.copy(address.key), { code: 'BH302' });
    await assert.rejects(connected(address.listen.kind === 'tcp' ? address.listen.port : 0, '127.0.0.1'), {
      code: 'ECONNREFUSED',
    });
  });

  it('closes what came back for no plugin, and says so', () => {
    const address = planned('p', freePort());
    const first = make();
    return first.ensure('p', { a: [address] }, { live: 'a', other: 0 }).then(() => {
      const next = make();
      assert.deepEqual(next.closeInheritedBut(new Set()).sort(), [address.key, slotKey(address.key, 'b')]);
      assert.deepEqual([...store.fds.keys()], []);
    });
  });

  it('takes back from sandboxes what the store has lost, as far as they have it', async () => {
    const address = planned('p', freePort());
    for (const lives of ['a', 'b'] as const) {
      const first = make();
      await first.ensure('p', { [lives]: [address] }, { live: lives, other: 0 });
      await share(first, address, 5);
      const held = first.copy(slotKey(address.key, lives));
      first.closeAll('p');
      const next = new Listeners(store, new Map(), (plugin, key) =>
        plugin === 'p' && key === slotKey(address.key, lives) ? held : undefined,
      );
      all.push(next);
      await next.ensure('p', { [lives]: [address] }, { live: lives, other: 0 });
      assert.equal(next.standing(address.key).find(({ slot }) => slot === lives)?.queued, 5);
      await share(next, address, 20);
      assert.equal(next.standing(address.key).find(({ slot }) => slot === lives)?.queued, 25);
      // The other one can be made where it comes after this one only.
      assert.equal(next.standing(address.key).length, lives === 'a' ? 2 : 1);
      if (lives === 'a') {
        next.weigh('p', { live: 'a', other: 0 });
        await next.ensure('p', { a: [address], b: [address] }, { live: 'a', other: 100 });
        assert.deepEqual(await share(next, address, 20), [0, 20]);
      }
      next.closeAll('p');
      assert.deepEqual([...store.fds.keys()], []);
    }
  });

  it('refuses an address where somebody listens whom it could join', async () => {
    const listeners = make();
    for (const host of ['127.0.0.1', '::1']) {
      const fd = listenTcp({ host, port: 0, backlog: 1, reusePort: true });
      const address = socketAddress(fd);
      assert.ok('port' in address);
      const mine = planned('p', address.port, host);
      await assert.rejects(listeners.ensure('p', { a: [mine] }, { live: 'a', other: 0 }), { code: 'BH206' });
      closeSync(fd);
      await listeners.ensure('p', { a: [mine] }, { live: 'a', other: 0 });
    }
  });

  it('makes listeners block again whose slot is used anew', async () => {
    const listeners = make();
    const address = planned('p', freePort());
    await listeners.ensure('p', { a: [address] }, { live: 'a', other: 0 });
    const fd = listeners.copy(slotKey(address.key, 'b'));
    const server = createServer().listen({ fd });
    await once(server, 'listening');
    const flags = (): number =>
      Number.parseInt(/flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '', 8);
    assert.notEqual(flags() & constants.O_NONBLOCK, 0);
    await listeners.ensure('p', { a: [address], b: [address] }, { live: 'a', other: 0 });
    assert.equal(flags() & constants.O_NONBLOCK, 0);
    server.close();
  });

  it('knows where somebody waits whom nobody will ask for, and when a slot has lost all it had', async () => {
    const listeners = make();
    const address = planned('p', freePort());
    const sides = { a: [address], b: [address] };
    await listeners.ensure('p', sides, { live: 'a', other: 0 });
    await share(listeners, address, 3);
    const names = ({ emptied, filled }: Moved): string => `${[...emptied].join('')}/${[...filled].join('')}`;
    assert.equal(names(listeners.weigh('p', { live: 'a', other: 30 })), '/b');
    assert.deepEqual([listeners.left('p', 'a'), listeners.left('p', 'b')], [[], []]);
    assert.equal(names(listeners.weigh('p', { live: 'a', other: 100 })), 'a/');
    assert.equal(names(listeners.weigh('p', { live: 'b', other: 0 })), '/');
    const left = listeners.left('p', 'a');
    assert.deepEqual([left.length, listeners.left('p', 'b')], [1, []]);
    for (const fd of left) closeSync(fd);
    const next = make();
    assert.equal(names(await next.ensure('p', sides, { live: 'b', other: 0 })), 'a/');
  });

  it('refuses an address that another plugin has, of which the kernel would say nothing', async () => {
    const listeners = make();
    const port = freePort();
    const [mine, other] = [planned('p', port), planned('pq', port)];
    await listeners.ensure('p', { a: [mine] }, { live: 'a', other: 0 });
    await assert.rejects(
      listeners.ensure('pq', { a: [other] }, { live: 'a', other: 0 }),
      (thrown: unknown) =>
        thrown instanceof Failure && thrown.code === 'BH206' && /plugin 'p' listens there/.test(thrown.message),
    );
    assert.equal(listeners.descriptor(other.key), undefined);
    assert.deepEqual(await share(listeners, mine, 20), [20, 0]);
  });
});
