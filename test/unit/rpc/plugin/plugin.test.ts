import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { connect } from '../../../../src/rpc/client/client.ts';
import { encodeFrame } from '../../../../src/rpc/wire/codec.ts';
import { until } from '../../../support/until.ts';
import { Caller, Target } from './target.ts';

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('rpc: a plugin', function () {
  this.timeout(30_000);
  const target = new Target();
  let caller: Caller;

  before(() => target.start());
  after(() => target.remove());
  beforeEach(async () => {
    caller = new Caller(target.socket);
    await caller.greet();
  });
  afterEach(() => caller.end());

  it('says how to try it when it is started by hand', () => {
    assert.match(target.stderr, /^bulkhead: serves echo, add, .* at .*rpc\.sock, by hand; try: bulkheadctl call /);
  });

  it('answers calls, in whatever order they are done', async () => {
    const slow = caller.ask('sleep', [50]);
    assert.equal(await caller.call('add', [2, 3]), 5);
    assert.equal(
      caller.messages.some((each) => each.kind === 'response' && each.id === slow),
      false,
    );
    assert.equal(await caller.answer(slow), 'slept');
    assert.equal(await caller.call('$ping'), null);
  });

  it('answers with errors that have codes', async () => {
    await assert.rejects(caller.call('nothing'), /^Error: unknown-method: there is no method 'nothing'$/);
    await assert.rejects(caller.call('$nothing'), /unknown-method/);
    await assert.rejects(caller.call('add', ['2', 3]), /bad-params: two numbers/);
    await assert.rejects(caller.call('fail', ['my-code', 'my text', [1]]), /my-code: my text/);
    await assert.rejects(caller.call('throw', ['oh no']), /failed: oh no/);
    await assert.rejects(caller.call('fail', ['Bad Code', 'x']), /failed: 'Bad Code' is not a code/);
  });

  it('says what it is, once and first', async () => {
    const other = new Caller(target.socket);
    assert.deepEqual(await other.greet({ frame: 70_000 }), {
      protocol: 1,
      frame: 4 * 1024 * 1024,
      features: ['cancel', 'stream', 'drain', 'ping', 'body'],
      window: 64,
      plugin: null,
      version: null,
      sandbox: null,
      sdk: 'node/0.1.0',
    });
    await assert.rejects(other.greet(), /bad-params/);
    await assert.rejects(other.call('bytes', [100_000]), /too-large/);
    other.end();
    const late = new Caller(target.socket);
    await late.call('echo', [1]);
    await assert.rejects(late.greet(), /bad-params/);
    late.end();
    const future = new Caller(target.socket);
    await assert.rejects(future.greet({ protocol: 2 }), /unsupported-protocol/);
    future.end();
  });

  it('ends a call when the caller cancels it', async () => {
    const before = (await caller.call('cancelled')) as number;
    const id = caller.ask('sleep', [60_000]);
    caller.send([2, '$cancel', [id]]);
    caller.send([2, '$cancel', [id + 1000]]);
    await assert.rejects(caller.answer(id), /^Error: cancelled: /);
    assert.equal(await caller.call('cancelled'), before + 1);
  });

  it('ends a call when its caller leaves', async () => {
    const before = (await caller.call('cancelled')) as number;
    const other = new Caller(target.socket);
    other.ask('sleep', [60_000]);
    await other.call('echo', [1]);
    other.end();
    while ((await caller.call('cancelled')) === before);
  });

  it('ends a call when its deadline is over', async () => {
    await assert.rejects(caller.call('sleep', [60_000], { deadline: 30 }), /deadline-exceeded/);
    assert.equal(await caller.call('sleep', [1], { deadline: 60_000 }), 'slept');
  });

  it('tells a method of its call', async () => {
    const context = (await caller.call('context', [], { deadline: 60_000, traceparent: TRACE, idempotency: 'k' })) as {
      deadline: number;
    };
    assert.ok(context.deadline > 0 && context.deadline <= 60_000, String(context.deadline));
    assert.deepEqual({ ...context, deadline: 1 }, { deadline: 1, traceparent: TRACE, idempotency: 'k', greeted: true });
  });

  it('takes no more calls at a time than its window', async () => {
    const ids = Array.from({ length: 64 }, () => caller.ask('sleep', [60_000]));
    const response = caller.ask('echo', [1]);
    await assert.rejects(caller.answer(response), /overloaded/);
    const found = caller.messages.find((each) => each.kind === 'response' && each.id === response);
    assert.equal((found as { error: { retry?: boolean } }).error.retry, true);
    for (const id of ids) caller.send([2, '$cancel', [id]]);
    await Promise.allSettled(ids.map((id) => caller.answer(id)));
    assert.equal(await caller.call('echo', [1]), 1);
  });

  it('sends parts as far as there is credit', async () => {
    const id = caller.ask('count', [10], { stream: 3 });
    await until(() => caller.notifications('$item').length === 3);
    await caller.call('echo', [1]);
    assert.equal(caller.notifications('$item').length, 3);
    assert.equal(await caller.call('streams'), 1);
    caller.send([2, '$credit', [id, 100]]);
    assert.equal(await caller.answer(id), 10);
    assert.deepEqual(
      caller.notifications('$item'),
      Array.from({ length: 10 }, (_, number) => [id, number]),
    );
    assert.equal(await caller.call('streams'), 0);
  });

  it('answers with all parts where nobody takes streams', async () => {
    assert.deepEqual(await caller.call('count', [4]), [0, 1, 2, 3]);
    const other = new Caller(target.socket);
    await other.greet({ frame: 65_536 });
    await assert.rejects(other.call('forever'), /too-large/);
    other.end();
    assert.equal(await caller.call('streams'), 0);
  });

  it('ends a stream that is cancelled, wherever it waits', async () => {
    for (const [method, params] of [
      ['forever', []],
      ['count', [100, 20]],
    ] as const) {
      const id = caller.ask(method, params, { stream: 2 });
      await until(() => caller.notifications('$item').some(([of]) => of === id));
      caller.send([2, '$cancel', [id]]);
      await assert.rejects(caller.answer(id), /cancelled/);
      while ((await caller.call('streams')) !== 0);
    }
  });

  it('runs notifications, also of callers that have gone', async () => {
    const before = (await caller.call('bumped')) as number;
    const other = new Caller(target.socket);
    for (let count = 0; count < 100; count++) other.send([2, 'sleep', [20]]);
    for (let count = 0; count < 500; count++) {
      other.send([2, 'bump', []]);
      other.send([2, 'nothing', []]);
    }
    other.end();
    while ((await caller.call('bumped')) !== before + 500);
  });

  it('serves a peer that sends no lengths', async () => {
    const socket = createConnection(target.socket);
    const received: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    socket.write(Buffer.from([0x94, 0, 7, 0xa3, 0x61, 0x64, 0x64, 0x92, 2, 3]));
    await until(() => received.length > 0);
    assert.deepEqual([...Buffer.concat(received)], [0x94, 1, 7, 0xc0, 5]);
    socket.destroy();
  });

  const refused: Record<string, readonly unknown[]> = {
    'a response': [1, 1, null, null],
    'a type that is unknown': [9, 1, 'x', []],
    'credit of nothing': [2, '$credit', [0, 0]],
    'credit without an id': [2, '$credit', [5]],
    'a cancel without an id': [2, '$cancel', []],
  };
  for (const [what, message] of Object.entries(refused))
    it(`ends the connection, and says why, for ${what}`, async () => {
      caller.send(message as never);
      await until(() => caller.closed);
      assert.equal(caller.notifications('$close')[0]?.[0], 'bad-frame');
    });

  it('ends the connection for an id that is in use', async () => {
    const id = caller.ask('sleep', [60_000]);
    caller.send([0, id, 'echo', [1]]);
    await until(() => caller.closed);
    assert.equal(caller.notifications('$close')[0]?.[0], 'bad-frame');
  });

  it('takes 256 connections, and tells the next one', async () => {
    const others = Array.from({ length: 255 }, () => new Caller(target.socket));
    await Promise.all(others.map((each) => each.call('echo', [1])));
    const one = new Caller(target.socket);
    await until(() => one.closed);
    assert.equal(one.notifications('$close')[0]?.[0], 'overloaded');
    for (const each of others) each.end();
    await until(() => others.every((each) => each.closed));
    const next = new Caller(target.socket);
    assert.equal(await next.call('echo', [1]), 1);
    next.end();
  });

  it('stops reading from who does not read, and answers all when it does', async () => {
    const other = new Caller(target.socket);
    await other.greet();
    other.socket.pause();
    const ids = Array.from({ length: 60 }, () => other.ask('bytes', [500_000]));
    // More than it takes is asked only once, so this cannot grow; it serves others meanwhile.
    assert.equal(await caller.call('echo', [1]), 1);
    other.socket.resume();
    for (const id of ids) assert.equal(((await other.answer(id)) as Buffer).length, 500_000);
    other.end();
  });

  it('begins nothing for who does not read, and then all of it', async () => {
    const other = new Caller(target.socket);
    await other.greet();
    const before = (await caller.call('cancelled')) as number;
    other.socket.pause();
    const ids = Array.from({ length: 10 }, () => other.ask('bytes', [500_000]));
    const stream = other.ask('count', [40], { stream: 1 });
    other.send([2, '$credit', [stream, 30]]);
    const late = other.ask('sleep', [1], { deadline: 1 });
    const cancelled = other.ask('sleep', [60_000]);
    other.send([2, '$cancel', [cancelled]]);
    await caller.call('sleep', [200]);
    assert.equal(await caller.call('streams'), 0);
    other.socket.resume();
    for (const id of ids) await other.answer(id);
    await assert.rejects(other.answer(late), /deadline-exceeded/);
    await assert.rejects(other.answer(cancelled), /cancelled/);
    assert.equal(await caller.call('cancelled'), before, 'it was never begun');
    await until(() => other.notifications('$item').length === 31);
    other.send([2, '$credit', [stream, 30]]);
    assert.equal(await other.answer(stream), 40);
    other.end();
  });

  it('sends a file in memory behind what waits, however large it is', async () => {
    const client = connect('by-hand', { socket: target.socket, timeoutMs: 60_000 });
    try {
      const sizes = [1_000_000, 100 * 1024 * 1024];
      const answers = await Promise.all(sizes.map((size) => client.call('bytes', [size])));
      assert.deepEqual(
        answers.map((answer) => (answer as Uint8Array).length),
        sizes,
      );
    } finally {
      await client.close();
    }
  });

  it('takes only so many notifications at a time, also of callers that have left', async () => {
    const many = new Target();
    await many.start();
    try {
      const asleep = Buffer.from(encodeFrame([2, 'sleep', [600_000]], 1000));
      const sent = Buffer.concat(Array.from({ length: 64 }, () => asleep));
      let said = '';
      for (let callers = 0; callers < 400 && !said.includes('too many notifications'); callers++)
        await new Promise<void>((resolve) => {
          const socket = createConnection(many.socket, () => socket.end(sent));
          socket.on('data', (text: Buffer) => {
            said += text.toString('latin1');
          });
          socket.on('error', () => {});
          socket.on('close', resolve);
        });
      assert.match(said, /overloaded.*too many notifications/);
    } finally {
      many.remove();
    }
  });

  it('drains on SIGTERM: answers what it has, tells its callers, and ends when they have left', async () => {
    const draining = new Target();
    await draining.start();
    const knows = new Caller(draining.socket);
    await knows.greet();
    const plain = new Caller(draining.socket);
    await plain.call('echo', [1]);
    const id = knows.ask('sleep', [300]);
    await knows.call('echo', [1]);
    draining.child?.kill('SIGTERM');
    await until(() => knows.notifications('$drain').length === 1);
    const crossed = knows.ask('echo', ['on its way']);
    assert.equal(await knows.answer(crossed), 'on its way');
    assert.equal(await knows.answer(id), 'slept');
    await until(() => plain.closed);
    assert.equal(draining.child?.exitCode, null);
    for (let count = 0; count < 70; count++) knows.send([2, 'sleep', [100]]);
    knows.send([2, 'save', ['last', 0, Buffer.from('words')]]);
    knows.end();
    await until(() => draining.child?.exitCode !== null);
    assert.equal(draining.child?.exitCode, 0);
    assert.ok(existsSync(join(draining.directory, 'state', 'checkpoint', 'last.0')), 'a notification was lost');
    draining.remove();
  });
});
