import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectOptions, connect, type PluginClient } from '../../../../src/rpc/client/client.ts';
import type { Connection } from '../../../../src/rpc/wire/connection.ts';
import type { Request } from '../../../../src/rpc/wire/message.ts';
import { DiscoveryServer } from '../../../support/discovery-server.ts';
import { failureOf } from '../../../support/failure-of.ts';
import { GREETING, RpcServer, type Script } from '../../../support/rpc-server.ts';
import { until } from '../../../support/until.ts';

/** Sends the numbers up to its first parameter, as many as there is credit for, and says how many there were. */
function counter(): Required<Pick<Script, 'request' | 'notification'>> & { sent: number } {
  let credit = 0;
  let next = 0;
  let run: { readonly request: Request; readonly connection: Connection } | undefined;
  const go = (): void => {
    if (run === undefined) return;
    const { request, connection } = run;
    const end = request.params[0] as number;
    for (; credit > 0 && next < end; credit--) {
      connection.send([2, '$item', [request.id, next]]);
      next++;
      counting.sent++;
    }
    if (next < end) return;
    run = undefined;
    connection.send([1, request.id, null, end]);
  };
  const counting = {
    sent: 0,
    request: (request: Request, connection: Connection): void => {
      run = { request, connection };
      credit = request.meta.stream ?? 0;
      next = (request.params[1] as number | undefined) ?? 0;
      go();
    },
    notification: ({ method, params }: { readonly method: string; readonly params: readonly unknown[] }): void => {
      if (method === '$cancel') run = undefined;
      if (method === '$credit') credit += params[1] as number;
      go();
    },
  };
  return counting;
}

describe('rpc client: streams', () => {
  const directory = mkdtempSync(join(tmpdir(), 'client-'));
  let count = 0;
  let server: RpcServer;
  let client: PluginClient;

  async function start(script: Script, options: ConnectOptions = {}): Promise<void> {
    const socket = join(directory, `${count}.sock`);
    server = await RpcServer.listen(socket, script);
    client = connect('test', { socket, ...options });
    await client.ready();
  }

  beforeEach(() => {
    count++;
  });
  afterEach(async () => {
    server.die();
    await client.close();
  });
  after(() => rmSync(directory, { recursive: true }));

  it('that are stopped before anybody was there are never begun', async () => {
    const socket = join(directory, `${count}.sock`);
    client = connect('test', { socket, waitMs: 20_000 });
    const stopped = client.stream('count', [1]);
    const first = stopped.next();
    await until(() => client.statistics().calls.waiting === 1);
    await stopped.return?.();
    await first;
    assert.equal(client.statistics().calls.waiting, 0);
    server = await RpcServer.listen(socket, {});
    assert.equal(await client.call('a', ['answered']), 'answered');
    assert.deepEqual(
      server.requests.map(({ method }) => method),
      ['a'],
    );
  });

  it('bring all parts in order, and the result', async () => {
    await start(counter());
    const stream = client.stream<number>('count', [1000], { credit: 8 });
    const parts: number[] = [];
    for (;;) {
      const { done, value } = await stream.next();
      if (done === true) {
        assert.equal(value, 1000);
        break;
      }
      parts.push(value);
    }
    assert.deepEqual(
      parts,
      Array.from({ length: 1000 }, (_, index) => index),
    );
    assert.equal(server.requests[0]?.meta.stream, 8);
    // Half of the credit at a time.
    assert.ok(server.notifications.length <= 250, `${server.notifications.length} messages for credit`);
  });

  it('wait for whoever takes the parts slowly', async () => {
    const counting = counter();
    await start(counting);
    let taken = 0;
    for await (const _ of client.stream('count', [50], { credit: 4 })) {
      taken++;
      if (taken % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      assert.ok(counting.sent <= taken + 4, `${counting.sent} were sent, ${taken} taken`);
    }
    assert.equal(taken, 50);
  });

  it('are ended by leaving the loop', async () => {
    await start(counter());
    for await (const part of client.stream<number>('count', [1_000_000])) if (part === 10) break;
    await until(() => server.notifications.some(({ method }) => method === '$cancel'));
    assert.equal(client.statistics().calls.open, 0);
    assert.deepEqual(client.statistics().calls.failed, {});
  });

  it('are ended by a signal', async () => {
    await start({ request: ({ id }, connection) => connection.send([2, '$item', [id, 'one']]) });
    const abort = new AbortController();
    const stream = client.stream('count', [], { signal: abort.signal });
    assert.equal((await stream.next()).value, 'one');
    const next = stream.next();
    abort.abort();
    assert.equal((await failureOf(next)).code, 'cancelled');
    assert.equal((await stream.next()).done, true);
  });

  it('are ended by closing the client, once their time is over', async () => {
    await start({ request: ({ id }, connection) => connection.send([2, '$item', [id, 'one']]) });
    const stream = client.stream('count', []);
    assert.equal((await stream.next()).value, 'one');
    const next = failureOf(stream.next());
    await client.close({ timeoutMs: 20 });
    assert.equal((await next).code, 'closed');
    assert.equal(client.statistics().calls.open, 0);
  });

  it('that stop in the middle fail, and those that take long on the whole do not', async () => {
    await start(
      {
        request: ({ id, params }, connection) => {
          for (let part = 0; part < 3; part++) setTimeout(() => connection.send([2, '$item', [id, part]]), 30 * part);
          if (params[0] === 'ends') setTimeout(() => connection.send([1, id, null, null]), 90);
        },
      },
      { timeoutMs: 60 },
    );
    const parts: unknown[] = [];
    for await (const part of client.stream('count', ['ends'], { idleMs: 2000 })) parts.push(part);
    assert.deepEqual(parts, [0, 1, 2]);
    const stream = client.stream('count', ['hangs'], { idleMs: 200 });
    for (let part = 0; part < 3; part++) assert.equal((await stream.next()).value, part);
    const error = await failureOf(stream.next());
    assert.equal(error.code, 'deadline-exceeded');
    assert.match(error.message, /no part of the stream within 200 ms/);
  });

  it('bring the parts that a plain server answers with at once', async () => {
    await start({ greeting: undefined, request: ({ id }, connection) => connection.send([1, id, null, ['a', 'b']]) });
    const parts: unknown[] = [];
    for await (const part of client.stream('list')) parts.push(part);
    assert.deepEqual(parts, ['a', 'b']);
    assert.deepEqual(server.requests[0]?.meta, {});
  });

  it('of one result have no parts', async () => {
    await start({ request: ({ id }, connection) => connection.send([1, id, null, 'whole']) });
    assert.deepEqual(await client.stream('one').next(), { done: true, value: 'whole' });
  });

  it('take no more parts than they gave credit for', async () => {
    await start({
      request: ({ id }, connection) => {
        for (let part = 0; part < 100; part++) connection.send([2, '$item', [id, part]]);
      },
    });
    const stream = client.stream('flood', [], { credit: 4 });
    const first = stream.next();
    await until(() => server.connections.size === 0 || client.statistics().sandboxes[0]?.breaker === 'open');
    const outcomes: unknown[] = [(await first).value];
    const error = await failureOf(
      (async () => {
        for await (const part of { [Symbol.asyncIterator]: () => stream }) outcomes.push(part);
      })(),
    );
    assert.equal(error.code, 'bad-frame');
    assert.ok(outcomes.length <= 8, `${outcomes.length} parts for a credit of 4`);
  });

  it('take no parts for a call that did not ask for them', async () => {
    await start({ request: ({ id }, connection) => connection.send([2, '$item', [id, 'part']]) });
    assert.equal((await failureOf(client.call('one'))).code, 'bad-frame');
  });

  it('are begun elsewhere when nothing came yet, and go on elsewhere as their caller says', async () => {
    const path = join(directory, `${count}.discovery`);
    const discovery = await DiscoveryServer.listen(path);
    const [one, other] = [1, 2].map((generation) => ({
      generation,
      socket: join(directory, `${count}-${generation}.sock`),
    })) as [{ generation: number; socket: string }, { generation: number; socket: string }];
    server = await RpcServer.listen(one.socket, {
      greeting: { ...GREETING, window: 2 },
      request: ({ id }, connection) => {
        for (let part = 0; part < 3; part++) connection.send([2, '$item', [id, part]]);
      },
    });
    const heir = await RpcServer.listen(other.socket, counter());
    discovery.sandboxes(one);
    client = connect('test', { discovery: path });
    const options = { credit: 4, idempotent: true };
    const lost = client.stream<number>('count', [10], options);
    const going = client.stream<number>('count', [10], { ...options, resume: (received) => [10, received] });
    for (let part = 0; part < 3; part++)
      assert.deepEqual([(await lost.next()).value, (await going.next()).value], [part, part]);
    discovery.sandboxes(other);
    await until(() => client.statistics().sandboxes.some(({ serves }) => serves));
    const failed = failureOf(lost.next());
    server.die();
    discovery.crash(1, 'the-incident');
    assert.equal((await failed).incident, 'the-incident');
    const rest: number[] = [];
    for await (const part of { [Symbol.asyncIterator]: () => going }) rest.push(part);
    assert.deepEqual(rest, [3, 4, 5, 6, 7, 8, 9]);
    discovery.die();
    heir.die();
  });
});
