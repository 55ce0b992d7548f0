import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectOptions, connect, type PluginClient } from '../../../../src/rpc/client/client.ts';
import { encodeFrame } from '../../../../src/rpc/wire/codec.ts';
import { DiscoveryServer } from '../../../support/discovery-server.ts';
import { failureOf } from '../../../support/failure-of.ts';
import { GREETING, RpcServer, type Script } from '../../../support/rpc-server.ts';
import { until } from '../../../support/until.ts';

function never(): void {}

describe('rpc client: sandboxes that do not answer as they should', () => {
  const directory = mkdtempSync(join(tmpdir(), 'client-'));
  let count = 0;
  let discovery: DiscoveryServer;
  let servers: RpcServer[];
  let raw: Server | undefined;
  let client: PluginClient;

  function socketOf(generation: number): string {
    return join(directory, `${count}-${generation}.sock`);
  }

  async function start(scripts: readonly Script[], options: ConnectOptions = {}): Promise<void> {
    servers = await Promise.all(scripts.map((script, index) => RpcServer.listen(socketOf(index + 1), script)));
    await follow(scripts.length, options);
  }

  async function follow(sandboxes: number, options: ConnectOptions): Promise<void> {
    discovery.sandboxes(
      ...Array.from({ length: sandboxes }, (_, index) => ({ generation: index + 1, socket: socketOf(index + 1) })),
    );
    client = connect('test', { discovery: join(directory, `${count}.discovery`), ...options });
    await until(() => client.statistics().sandboxes.filter(({ serves }) => serves).length === sandboxes);
  }

  function breaker(generation: number): string | undefined {
    return client.statistics().sandboxes.find((sandbox) => sandbox.generation === generation)?.breaker;
  }

  /** Something that greets, and then does what no SDK does. */
  function listenRaw(generation: number, then: (socket: Socket) => void): Promise<void> {
    return new Promise((resolve) => {
      raw = createServer((socket) => {
        socket.on('error', () => socket.destroy());
        socket.once('data', () => {
          socket.write(encodeFrame([1, 0, null, GREETING], 100_000));
          then(socket);
        });
      }).listen(socketOf(generation), resolve);
    });
  }

  beforeEach(async () => {
    count++;
    discovery = await DiscoveryServer.listen(join(directory, `${count}.discovery`));
    servers = [];
    raw = undefined;
  });
  afterEach(async () => {
    discovery.die();
    for (const server of servers) server.die();
    raw?.close();
    await client.close();
  });
  after(() => rmSync(directory, { recursive: true }));

  it('hang: they are kept away from after three calls, tried now and then, and let back', async () => {
    await start([{ request: never }], { slowMs: 20, timeoutMs: 30 });
    for (let call = 0; call < 3; call++)
      assert.equal((await failureOf(client.call('a', []))).code, 'deadline-exceeded');
    await until(() => breaker(1) === 'open');
    const refused = await failureOf(client.call('a', []));
    assert.equal(refused.code, 'unavailable');
    assert.equal(refused.begun, 'no');
    assert.equal(servers[0]?.requests.length, 3);
    if (servers[0] !== undefined) servers[0].script = {};
    for (;;) {
      const answer = await client.call('a', ['back'], { timeoutMs: 5000, slowMs: 5000 }).catch(() => undefined);
      if (answer === 'back') break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal(breaker(1), 'closed');
  });

  it('hang in one method only: the others are called on', async () => {
    const script: Script = {
      request: ({ id, method }, connection) => {
        if (method === 'good') connection.send([1, id, null, 'good']);
      },
    };
    await start([script], { slowMs: 20, timeoutMs: 30 });
    for (let call = 0; call < 3; call++) {
      assert.equal((await failureOf(client.call('bad', []))).code, 'deadline-exceeded');
      assert.equal(await client.call('good', [], { timeoutMs: 5000, slowMs: 5000 }), 'good');
    }
    await until(() => client.statistics().sandboxes[0]?.openMethods.includes('bad') === true);
    assert.equal(breaker(1), 'closed');
    assert.equal((await failureOf(client.call('bad', []))).code, 'unavailable');
    assert.equal(await client.call('good', [], { timeoutMs: 5000, slowMs: 5000 }), 'good');
  });

  it('hang beside one that does not: what may be repeated is moved, and nothing new goes there', async () => {
    await start([{ request: never }, {}], { slowMs: 50, timeoutMs: 60_000, idempotent: ['read'] });
    const calls = Array.from({ length: 20 }, (_, index) => client.call('read', [index]));
    assert.deepEqual(
      await Promise.all(calls),
      calls.map((_, index) => index),
    );
    assert.equal(breaker(1), 'open');
    const before = servers[0]?.requests.length ?? 0;
    assert.ok(before > 0);
    for (let call = 0; call < 20; call++) await client.call('read', [call]);
    // A trial may have gone there, if this took a second.
    assert.ok((servers[0]?.requests.length ?? 0) <= before + 1);
  });

  it('hang beside one that does not: streams that have not begun begin there, and bring each part once', async () => {
    const answer: Script = {
      request: ({ id }, connection) => {
        for (let part = 0; part < 5; part++) connection.send([2, '$item', [id, part]]);
        connection.send([1, id, null, null]);
      },
    };
    const held: (() => void)[] = [];
    const late: Script = {
      request: (request, connection) => held.push(() => answer.request?.(request, connection)),
    };
    await start([late, answer], { slowMs: 50, idempotent: ['list'] });
    const read = async (): Promise<unknown[]> => {
      const parts: unknown[] = [];
      for await (const part of client.stream('list', [], { idleMs: 60_000 })) parts.push(part);
      return parts;
    };
    const all = Promise.all(Array.from({ length: 16 }, read));
    await until(() => breaker(1) === 'open' && client.statistics().calls.retries >= 3);
    for (const each of held) each();
    for (const parts of await all) assert.deepEqual(parts, [0, 1, 2, 3, 4]);
  });

  it('are all slow alike: they are called all the same', async () => {
    const slow: Script = {
      request: ({ id }, connection) => void setTimeout(() => connection.send([1, id, null, 'at last']), 60),
    };
    await start([slow, slow], { slowMs: 20 });
    for (let call = 0; call < 10; call++) assert.equal(await client.call('a', []), 'at last');
  });

  it('send what is no message: the call fails, and they are kept away from', async () => {
    await listenRaw(1, (socket) => socket.on('data', () => socket.write(Buffer.from([0, 0, 0, 2, 0xc1, 0xc1]))));
    await follow(1, {});
    const error = await failureOf(client.call('a', []));
    assert.equal(error.code, 'bad-frame');
    assert.match(error.message, /MessagePack/);
    assert.equal(breaker(1), 'open');
  });

  it('answer what was not asked: the connection ends', async () => {
    await listenRaw(1, (socket) => socket.on('data', () => socket.write(encodeFrame([1, 4711, null, 'x'], 100_000))));
    await follow(1, {});
    const error = await failureOf(client.call('a', []));
    assert.equal(error.code, 'bad-frame');
    assert.match(error.message, /a response to no request/);
  });

  it('say that a message is larger than it may be: nothing of it is kept', async () => {
    await listenRaw(1, (socket) =>
      socket.on('data', () => socket.write(Buffer.from([0x7f, 0xff, 0xff, 0xff, 1, 2, 3]))),
    );
    await follow(1, {});
    assert.equal((await failureOf(client.call('a', []))).code, 'bad-frame');
  });

  it('never read: no more than a bounded part is sent to them, and callers do not wait longer than they said', async () => {
    const accepted: Socket[] = [];
    await listenRaw(1, (socket) => {
      socket.pause();
      accepted.push(socket);
    });
    await follow(1, { slowMs: 50, timeoutMs: 100 });
    const body = Buffer.alloc(256 * 1024);
    const calls = Array.from({ length: 200 }, () => failureOf(client.call('a', [body])));
    for (const error of await Promise.all(calls))
      assert.ok(['deadline-exceeded', 'unavailable'].includes(error.code), error.message);
    // What is not sent is not even encoded: a socket's buffer, and a little more than 1 MiB.
    const { calls: sent } = client.statistics().sandboxes[0] ?? { calls: 0 };
    assert.ok(sent * body.length < 8 * 1024 * 1024, `${sent} bodies of 256 KiB`);
    await until(() => breaker(1) === 'open');
    for (const socket of accepted) socket.destroy();
  });

  it('close each connection: three in a row keep calls away', async () => {
    await listenRaw(1, (socket) => socket.on('data', () => socket.destroy()));
    await follow(1, { waitMs: 1000 });
    for (let call = 0; call < 3; call++) {
      discovery.crash(99, 'of-another');
      await failureOf(client.call('a', [], { timeoutMs: 200 }));
    }
    await until(() => breaker(1) === 'open');
  });

  it('end each connection as soon as it is there: they are not called more and more often', async () => {
    let accepted = 0;
    await listenRaw(1, (socket) => {
      accepted++;
      socket.end();
    });
    discovery.sandboxes({ generation: 1, socket: socketOf(1) });
    client = connect('test', { discovery: join(directory, `${count}.discovery`) });
    await until(() => accepted > 0);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    // 20 ms at first, twice as long each time, spread by a half: seven at most in a second.
    assert.ok(accepted <= 8, `${accepted} connections in a second`);
  });

  it('hang altogether: no call is risked until a greeting is answered, and callers are told at once', async () => {
    let hangs = false;
    let greeted = 0;
    let requests = 0;
    await new Promise<void>((resolve) => {
      raw = createServer((socket) => {
        socket.on('error', () => socket.destroy());
        socket.on('data', () => {
          requests++;
          if (hangs) return;
          hangs = true;
          greeted++;
          socket.write(encodeFrame([1, 0, null, GREETING], 100_000));
        });
      }).listen(socketOf(1), resolve);
    });
    await follow(1, { slowMs: 20, timeoutMs: 30 });
    for (let call = 0; call < 3; call++) await failureOf(client.call('a', []));
    await until(() => client.statistics().sandboxes[0]?.serves === false);
    const before = requests;
    // Longer than the breaker is open at first.
    const end = performance.now() + 1200;
    while (performance.now() < end) {
      const error = await failureOf(client.call('a', [], { timeoutMs: 5000 }));
      assert.equal(error.code, 'unavailable');
      assert.match(error.message, /answers 'a' in time/);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    // One greeting at most, since it has five seconds to be answered.
    assert.ok(requests <= before + 1, `${requests - before} requests`);
    assert.equal(greeted, 1);
  });
});
