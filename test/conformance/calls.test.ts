import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { problemOf } from './peer/conversation.ts';
import { Float, type Value } from './peer/pack.ts';
import { forEachTarget, until } from './target.ts';

/** Nested so deep that with the message around it there are 32 levels. */
function nested(levels: number): Value {
  let value: Value = 'core';
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { in: value };
  return value;
}

const VALUES: Readonly<Record<string, Value>> = {
  nil: null,
  booleans: [true, false],
  'small integers': [0, 1, 127, 128, 255, 256, 65_535, 65_536, 4_294_967_295, 4_294_967_296],
  'negative integers': [-1, -32, -33, -128, -129, -32_768, -32_769, -2_147_483_648, -2_147_483_649],
  'the largest integers': [9_007_199_254_740_991, -9_007_199_254_740_991],
  floats: [0.5, -1.25, 1e300, 5e-324, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN],
  'a float that is whole': new Float(7),
  strings: [
    '',
    'a',
    'ä',
    '日本語',
    '🙂',
    'x'.repeat(31),
    'x'.repeat(32),
    'x'.repeat(256),
    'x'.repeat(70_000),
    '\0\n',
    '\uFEFFmark',
  ],
  binaries: [Buffer.alloc(0), Buffer.of(0, 255), Buffer.alloc(256, 1), Buffer.alloc(70_000, 2)],
  lists: [[], [1, [2, [3]]], Array.from({ length: 15 }, () => 0), Array.from({ length: 70_000 }, () => 1)],
  maps: [{}, { a: { b: {} } }, Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`key ${index}`, index]))],
  'keys that mean something elsewhere': {
    ...Object.fromEntries([['then', 5]]),
    length: 1,
    constructor: 2,
    toString: 3,
    '': 4,
  },
  'all levels that there may be': nested(30),
};

/** As it is to come back. */
function expected(value: Value): unknown {
  if (value instanceof Float) return value.value;
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (Array.isArray(value)) return value.map(expected);
  return value;
}

forEachTarget('calls', (target) => {
  for (const [what, value] of Object.entries(VALUES))
    it(`bring back ${what}`, async () => {
      const peer = await target().connect();
      assert.deepEqual(await peer.result('echo', value), expected(value));
    });

  it('bring back integers as integers, also those beyond 32 bits', async () => {
    const peer = await target().connect();
    const received: Buffer[] = [];
    peer.socket.on('data', (bytes: Buffer) => received.push(bytes));
    for (const value of [1_764_133_000_000, -1_764_133_000_000, 9_007_199_254_740_991]) {
      received.length = 0;
      assert.equal(await peer.result('echo', value), value);
      // 64 bits, signed or not (0xcf, 0xd3), and no float (0xcb): other languages do not take one for the other.
      const head = Buffer.concat(received).at(-9) ?? 0;
      assert.ok(head === 0xcf || head === 0xd3, `${value} came back behind 0x${head.toString(16)}`);
    }
  });

  it('bring back a key called __proto__ as any other, or refuse it', async () => {
    const value = JSON.parse('{"__proto__": {"admin": true}}') as Value;
    const peer = await target().connect();
    const id = peer.ask('echo', [value]);
    await Promise.race([peer.answer(id), peer.ended]).catch(() => undefined);
    if (peer.isEnded) await peer.refused();
    else assert.deepEqual((await peer.answer(id)).result, value);
    assert.equal(await (await target().connect()).result('echo', 'well'), 'well');
  });

  it('carry binaries up to the frame limit', async () => {
    const peer = await target().connect();
    const most = Math.min(Number(peer.server.frame), 4 * 1024 * 1024) - 64;
    assert.equal(await peer.result('size', Buffer.alloc(most)), most);
    assert.equal(((await peer.result('bytes', 1_000_000)) as Buffer).compare(Buffer.alloc(1_000_000, 0x62)), 0);
  });

  it('fail as the method says', async () => {
    const peer = await target().connect();
    const own = await peer.problem('fail', ['no-such-book', 'There is none.', { shelf: 3 }]);
    assert.deepEqual([own.code, own.message, own.data], ['no-such-book', 'There is none.', { shelf: 3 }]);
    const thrown = await peer.problem('throw', ['it broke']);
    assert.deepEqual([thrown.code, thrown.message.includes('it broke')], ['failed', true]);
    assert.equal((await peer.problem('add', [1, 'two'])).code, 'bad-params');
    assert.equal((await peer.problem('add', [1])).code, 'bad-params');
    assert.equal((await peer.problem('no such method')).code, 'unknown-method');
    assert.equal(await peer.result('add', 1.5, 2), 3.5);
  });

  it('fail with bounds, whatever a method says', async () => {
    const peer = await target().connect();
    // The conversation itself refuses a message over 1,024 bytes, also one that was cut in the middle of a character.
    const long = await peer.problem('throw', ['ä'.repeat(2000)]);
    assert.ok(Buffer.byteLength(long.message) > 500, long.message);
    const { error } = await peer.call('fail', ['Not A Code!', 'text', null]);
    assert.ok(problemOf(error) !== undefined, JSON.stringify(error));
    const large = await (await target().connect({ frame: 65_536 })).problem('fail', [
      'own-code',
      'text',
      'x'.repeat(65_000),
    ]);
    assert.ok(['own-code', 'too-large'].includes(large.code), large.code);
  });

  it('of methods that do not exist say so, whatever their name', async () => {
    const peer = await target().connect();
    for (const method of ['__init__', 'constructor', 'toString', '__proto__', 'hasOwnProperty', 'x'.repeat(128), 'ä'])
      assert.equal((await peer.problem(method)).code, 'unknown-method', method);
  });

  it('of the protocol that nobody knows are answered, and do no harm', async () => {
    const peer = await target().connect();
    assert.equal((await peer.problem('$reload')).code, 'unknown-method');
    assert.equal(await peer.result('$ping'), null);
  });

  it('may have the smallest and the largest id, and one again that has been answered', async () => {
    const peer = await target().connect();
    for (const id of [0, 4_294_967_295, 0]) {
      peer.talk.answers.delete(id);
      peer.ask('echo', [id], undefined, id);
      assert.equal((await peer.answer(id)).result, id);
    }
  });

  it('under an id that waits for its answer end the connection', async () => {
    const peer = await target().connect();
    peer.talk.lenient = true;
    peer.ask('sleep', [5000], undefined, 9);
    peer.ask('echo', [1], undefined, 9);
    await peer.refused();
  });

  it('are answered as they are done, not as they came', async () => {
    const peer = await target().connect();
    const slow = peer.ask('sleep', [300]);
    const quick = peer.ask('echo', ['first']);
    await peer.answer(quick);
    assert.ok(!peer.talk.answers.has(slow));
    assert.equal((await peer.answer(slow)).result, 'slept');
  });

  it('come whole, however the bytes are cut', async () => {
    const peer = await target().connect();
    const ids = [peer.id(), peer.id(), peer.id()];
    for (const id of ids) peer.expect(id);
    const bytes = Buffer.concat(ids.map((id) => peer.bytesOf([0, id, 'echo', [`value of ${id}`]])));
    for (const byte of bytes) {
      peer.raw(Buffer.of(byte));
      await pause(1);
    }
    for (const id of ids) assert.equal((await peer.answer(id)).result, `value of ${id}`);
  });

  it('come all, however many are in one write', async () => {
    const peer = await target().connect();
    // In turns of no more than the window.
    const window = Math.min(Number(peer.server.window), 64);
    for (let turn = 0; turn < 20; turn += 1) {
      const ids = Array.from({ length: window }, () => peer.id());
      for (const id of ids) peer.expect(id);
      peer.send(...ids.map((id): Value => [0, id, 'echo', [id]]));
      for (const id of ids) assert.equal((await peer.answer(id)).result, id);
    }
  });

  it('over the window are refused at once, and may be made elsewhere', async () => {
    const peer = await target().connect();
    const window = Number(peer.server.window);
    const ids = Array.from({ length: window }, () => peer.ask('sleep', [60_000]));
    const { code, retry } = await peer.problem('echo', [1]);
    assert.deepEqual([code, retry], ['overloaded', true]);
    assert.equal(await peer.result('$ping'), null, 'a ping needs no room');
    peer.send(...ids.map((id): Value => [2, '$cancel', [id]]));
    for (const id of ids) await peer.answer(id);
    // The answer may be there before the method has ended.
    await until('room again', async () => (await peer.call('echo', ['room'])).result === 'room');
  });

  it('without an answer are done, and those of unknown methods ignored', async () => {
    const peer = await target().connect();
    const before = Number(await peer.result('bumped'));
    peer.send([2, 'bump', []], [2, 'nothing', [1, 2]], [2, 'bump', [], { tracestate: 'x=y' }]);
    await until('both', async () => Number(await peer.result('bumped')) === before + 2);
    assert.deepEqual(peer.talk.faults, []);
  });

  it('carry what their meta says to the method', async () => {
    const peer = await target().connect();
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const meta = { deadline: 30_000, traceparent, idempotency: 'once', 'x-unknown': [1] };
    const { error, result } = await peer.call('context', [], meta);
    assert.equal(error, undefined);
    const context = result as Record<string, unknown>;
    assert.deepEqual([context.traceparent, context.idempotency], [traceparent, 'once']);
    const left = Number(context.deadline);
    assert.ok(left > 0 && left <= 30_000, `${context.deadline}`);
    const none = (await peer.result('context')) as Record<string, unknown>;
    assert.deepEqual([none.deadline, none.traceparent, none.idempotency], [null, null, null]);
  });

  it('do not pass on a malformed traceparent', async () => {
    const peer = await target().connect();
    for (const traceparent of [
      '',
      'garbage',
      '00-00000000000000000000000000000000-00f067aa0ba902b7-01',
      `${'0'.repeat(55)}`,
    ]) {
      const { result, error } = await peer.call('context', [], { traceparent });
      assert.equal(error, undefined);
      assert.equal((result as Record<string, unknown>).traceparent, null, traceparent);
    }
  });
});
