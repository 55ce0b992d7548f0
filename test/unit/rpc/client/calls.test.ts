import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectOptions, connect, type PluginClient } from '../../../../src/rpc/client/client.ts';
import { failureOf } from '../../../support/failure-of.ts';
import { GREETING, RpcServer, type Script } from '../../../support/rpc-server.ts';
import { until } from '../../../support/until.ts';

function never(): void {}

describe('rpc client: calls of a server that was started by hand', () => {
  const directory = mkdtempSync(join(tmpdir(), 'client-'));
  let count = 0;
  let path = '';
  let server: RpcServer | undefined;
  let client: PluginClient;

  async function start(script: Script = {}, options: ConnectOptions = {}): Promise<RpcServer> {
    server = await RpcServer.listen(path, script);
    client = connect('test', { socket: path, ...options });
    return server;
  }

  /** Answers each request when the test says so. */
  function holding(result: unknown = 'done'): {
    readonly held: (() => void)[];
    readonly request: NonNullable<Script['request']>;
  } {
    const held: (() => void)[] = [];
    return { held, request: ({ id }, connection) => held.push(() => connection.send([1, id, null, result])) };
  }

  beforeEach(() => {
    count++;
    path = join(directory, `${count}.sock`);
    server = undefined;
  });
  afterEach(async () => {
    server?.die();
    await client.close();
  });
  after(() => rmSync(directory, { recursive: true }));

  it('answers with the result, and says how much time there is', async () => {
    const { requests } = await start();
    await client.ready();
    assert.deepEqual(await client.call('echo', [{ a: [1, 'two', null] }]), { a: [1, 'two', null] });
    assert.equal(requests[0]?.method, 'echo');
    const { deadline, ...rest } = requests[0]?.meta ?? {};
    assert.ok(deadline !== undefined && deadline > 0 && deadline <= 5000, `${deadline} ms`);
    assert.deepEqual(rest, {});
    assert.equal(client.statistics().calls.succeeded, 1);
  });

  it('waits for a server that is not there yet', async () => {
    client = connect('test', { socket: path, waitMs: 5000 });
    const call = client.call('echo', ['late']);
    server = await RpcServer.listen(path);
    assert.equal(await call, 'late');
  });

  it('says why a server does not come', async () => {
    client = connect('test', { socket: path, waitMs: 50 });
    const error = await failureOf(client.call('echo', []));
    assert.equal(error.code, 'unavailable');
    assert.equal(error.begun, 'no');
    assert.match(error.message, /ENOENT/);
    assert.equal((await failureOf(client.ready({ timeoutMs: 20 }))).code, 'unavailable');
  });

  it('hands on trace context, idempotency and a deadline', async () => {
    const { requests } = await start();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await client.call('echo', [1], { timeoutMs: 3000, traceparent, tracestate: 'a=b', idempotency: 'key' });
    await client.call('echo', [1], { traceparent: 'nonsense', timeoutMs: 86_400_000 });
    const [first, second] = requests;
    assert.ok((first?.meta.deadline ?? 0) > 0 && (first?.meta.deadline ?? 0) <= 3000);
    assert.deepEqual(
      { ...first?.meta, deadline: 0 },
      { deadline: 0, traceparent, tracestate: 'a=b', idempotency: 'key' },
    );
    assert.deepEqual(Object.keys(second?.meta ?? {}), ['deadline']);
    assert.ok((second?.meta.deadline ?? Infinity) <= 86_400_000);
  });

  it('carries the error of the plugin, and does not repeat the call', async () => {
    const { requests } = await start({
      request: ({ id }, connection) =>
        connection.send([1, id, { code: 'no-such-index', message: 'none of that name', data: { name: 'x' } }, null]),
    });
    const error = await failureOf(client.call('search', [], { idempotent: true }));
    assert.equal(error.code, 'no-such-index');
    assert.equal(error.message, 'none of that name');
    assert.deepEqual(error.data, { name: 'x' });
    assert.equal(error.method, 'search');
    assert.equal(requests.length, 1);
  });

  it('fails at the deadline, and cancels', async () => {
    const { requests, notifications } = await start({ request: never });
    await client.ready();
    const error = await failureOf(client.call('slow', [], { timeoutMs: 30 }));
    assert.equal(error.code, 'deadline-exceeded');
    assert.equal(error.begun, 'unknown');
    await until(() => notifications.length === 1);
    assert.equal(notifications[0]?.method, '$cancel');
    assert.deepEqual(notifications[0]?.params, [requests[0]?.id]);
  });

  it('can be given up, before and after it was sent', async () => {
    const { requests, notifications } = await start({ request: never });
    const abort = new AbortController();
    const call = client.call('slow', [], { signal: abort.signal });
    await until(() => requests.length === 1);
    abort.abort(new Error('no more'));
    const error = await failureOf(call);
    assert.equal(error.code, 'cancelled');
    assert.equal((error.cause as Error).message, 'no more');
    await until(() => notifications.length === 1);
    const before = await failureOf(client.call('slow', [], { signal: abort.signal }));
    assert.equal(before.begun, 'no');
    assert.equal(requests.length, 1);
  });

  it('are given up together by one signal, which is not taken for a leak', async () => {
    const warnings: Error[] = [];
    const warned = (warning: Error): void => void warnings.push(warning);
    process.on('warning', warned);
    const { requests } = await start({ request: never });
    const abort = new AbortController();
    const calls = Array.from({ length: 30 }, () => failureOf(client.call('slow', [], { signal: abort.signal })));
    await until(() => requests.length === 30);
    abort.abort();
    for (const error of await Promise.all(calls)) assert.equal(error.code, 'cancelled');
    process.off('warning', warned);
    assert.deepEqual(warnings, []);
  });

  it('has no more than the window under way, and no more than agreed in the line', async () => {
    const { held, request } = holding();
    const { requests } = await start({ greeting: { ...GREETING, window: 4 }, request }, { waiting: 3 });
    await client.ready();
    const calls = Array.from({ length: 8 }, () => client.call('hold', []));
    const error = await failureOf(calls[7] ?? Promise.resolve());
    assert.equal(error.code, 'overloaded');
    assert.equal(error.begun, 'no');
    await until(() => requests.length === 4);
    assert.equal(client.statistics().calls.waiting, 3);
    for (let answered = 0; answered < 7; answered++) {
      await until(() => held.length > 0);
      assert.ok(requests.length - answered <= 4, `${requests.length} came, ${answered} were answered`);
      held.shift()?.();
    }
    assert.equal((await Promise.all(calls.slice(0, 7))).length, 7);
  });

  it('has as many connections as are asked for, and uses all of them', async () => {
    const { held, request } = holding();
    const { connections } = await start({ greeting: { ...GREETING, window: 2 }, request }, { connections: 3 });
    await until(() => connections.size === 3);
    const calls = Array.from({ length: 7 }, () => client.call('hold', []));
    await until(() => held.length === 6);
    assert.equal(client.statistics().calls.waiting, 1);
    while (client.statistics().calls.open > 0) {
      held.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal((await Promise.all(calls)).length, 7);
  });

  it('tells when somebody is there, unless that is given up', async () => {
    client = connect('test', { socket: path });
    const abort = new AbortController();
    const given = failureOf(client.ready({ signal: abort.signal }));
    abort.abort();
    assert.equal((await given).code, 'cancelled');
    const ready = client.ready();
    server = await RpcServer.listen(path);
    await ready;
    const closed = client.close();
    assert.equal((await failureOf(client.ready())).code, 'closed');
    await closed;
  });

  it('takes answers out of order', async () => {
    const held: (() => void)[] = [];
    await start({
      request: ({ id, params }, connection) => held.push(() => connection.send([1, id, null, params[0]])),
    });
    const calls = [1, 2, 3].map((number) => client.call('echo', [number]));
    await until(() => held.length === 3);
    for (const answer of held.reverse()) answer();
    assert.deepEqual(await Promise.all(calls), [1, 2, 3]);
  });

  it('serves a plain server: no meta, no cancel', async () => {
    const { requests, notifications } = await start({ greeting: undefined, request: never });
    await client.ready();
    const error = await failureOf(client.call('slow', [], { timeoutMs: 30 }));
    assert.equal(error.code, 'deadline-exceeded');
    if (server !== undefined) server.script = {};
    assert.equal(await client.call('echo', ['plain']), 'plain');
    assert.deepEqual(requests[0]?.meta, {});
    assert.equal(notifications.length, 0);
  });

  it('does not send what is over the limit of the server, or has no form', async () => {
    await start({ greeting: { ...GREETING, frame: 65_536 } });
    await client.ready();
    const large = await failureOf(client.call('echo', [Buffer.alloc(70_000)]));
    assert.equal(large.code, 'too-large');
    assert.equal(large.begun, 'no');
    const odd = await failureOf(client.call('echo', [new Date()]));
    assert.equal(odd.code, 'bad-params');
    assert.equal(await client.call('echo', ['still there']), 'still there');
  });

  it('notifies', async () => {
    const { notifications } = await start();
    assert.equal(client.notify('warm', []), false);
    await client.ready();
    assert.equal(client.notify('warm', [1]), true);
    await until(() => notifications.length === 1);
    assert.throws(() => client.notify('$cancel', [1]), TypeError);
  });

  it('refuses what is no option', async () => {
    await start();
    assert.throws(() => client.call('echo', [], { timeoutMs: 0 }), RangeError);
    assert.throws(() => client.call('', []), RangeError);
    assert.throws(() => connect('../x'), TypeError);
    assert.throws(() => connect('x', { socket: 'a', discovery: 'b' }), TypeError);
  });

  it('waits for calls that were made when it is closed, and takes no more', async () => {
    const { held, request } = holding();
    const { connections } = await start({ request });
    const call = client.call('slow', []);
    await until(() => held.length === 1);
    const closed = client.close();
    assert.equal((await failureOf(client.call('echo', []))).code, 'closed');
    held[0]?.();
    assert.equal(await call, 'done');
    await closed;
    await until(() => connections.size === 0);
  });

  it('sends nothing more to a server that drains, and ends the connection with the last answer', async () => {
    const { held, request } = holding();
    const { connections } = await start({ request });
    const call = client.call('slow', []);
    await until(() => held.length === 1);
    const [old] = connections;
    old?.send([2, '$drain', []]);
    await until(() => client.statistics().sandboxes[0]?.serves === false);
    const later = client.call('slow', []);
    held.shift()?.();
    assert.equal(await call, 'done');
    // Somebody who was started by hand anew is found at the same path.
    await until(() => server?.accepted === 2 && held.length === 1);
    assert.equal(old?.ended, true);
    held.shift()?.();
    assert.equal(await later, 'done');
  });

  it('does not hold against a server what its own process was late for', async () => {
    await start({}, { slowMs: 100 });
    await client.ready();
    for (let time = 0; time < 4; time++) {
      const call = client.call('echo', [time]);
      await new Promise((resolve) => setImmediate(resolve));
      const end = performance.now() + 200;
      while (performance.now() < end);
      assert.equal(await call, time);
    }
    assert.equal(client.statistics().sandboxes[0]?.breaker, 'closed');
  });
});
