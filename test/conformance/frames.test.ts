import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { behindLength, Extension, frame, pack, type Value, Verbatim } from './peer/pack.ts';
import { forEachTarget } from './target.ts';

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

function verbatim(hex: string): Verbatim {
  return new Verbatim(bytes(hex));
}

function deep(levels: number): Value {
  return new Verbatim(Buffer.concat([Buffer.alloc(levels, 0x91), Buffer.of(0xc0)]));
}

const echo = (value: Value): Buffer => frame([0, 77, 'echo', [value]]);

/** What is no message by docs/protocol.md. Each is all that is sent behind a greeting. */
const WRONG: Readonly<Record<string, Buffer>> = {
  'of no length': bytes('00000000'),
  'of a length over the limit': bytes('ffffffff'),
  'of a length that is just over the limit': Buffer.alloc(4),
  'with something behind its value': behindLength(Buffer.concat([pack([0, 77, 'echo', [1]]), Buffer.of(0xc0)])),
  'that ends within a value': behindLength(pack([0, 77, 'echo', ['long enough']]).subarray(0, 12)),
  'of a byte that begins no value': behindLength(Buffer.of(0xc1)),
  'that is nil': frame(null),
  'that is a number': frame(7),
  'that is a map': frame({ method: 'echo' }),
  'that is an empty array': frame([]),
  'of a type that is none': frame([3, 1, 'echo', []]),
  'whose type is no integer': frame(['0', 1, 'echo', []]),
  'of three parts': frame([0, 77, 'echo']),
  'of six parts': frame([0, 77, 'echo', [], {}, 1]),
  'with a negative id': frame([0, -1, 'echo', [1]]),
  'with an id over 2^32-1': frame([0, 4_294_967_296, 'echo', [1]]),
  'with an id that is no integer': frame([0, '77', 'echo', [1]]),
  'with a fraction as its id': frame([0, 1.5, 'echo', [1]]),
  'without a method': frame([0, 77, '', [1]]),
  'with a method of 129 bytes': frame([0, 77, 'm'.repeat(129), [1]]),
  'whose method is no string': frame([0, 77, 5, [1]]),
  'whose params are no array': frame([0, 77, 'echo', { value: 1 }]),
  'whose meta is no map': frame([0, 77, 'echo', [1], 5]),
  'with an extension': echo(new Extension(5, Buffer.of(1))),
  'with a time stamp': echo(new Extension(-1, Buffer.alloc(4))),
  'with a body that was not agreed on': echo(new Extension(1, Buffer.alloc(9))),
  'with a descriptor that was not agreed on': echo(new Extension(2, Buffer.of(0))),
  'with a key that is a number': echo(verbatim('81 01 02')),
  'with a key that is nil': echo(verbatim('81 c0 02')),
  'with a key that is a binary': echo(verbatim('81 c4 01 61 02')),
  'with a string that is not UTF-8': echo(verbatim('a2 c3 28')),
  'with half of a surrogate': echo(verbatim('a3 ed a0 80')),
  'with a string that is too long a form of UTF-8': echo(verbatim('a2 c0 80')),
  'with a method that is not UTF-8': frame([0, 77, verbatim('a1 ff'), [1]]),
  'of 34 levels': echo(deep(32)),
  'of a thousand levels': echo(deep(1000)),
  'of a million levels': echo(deep(1_000_000)),
  'with an array that says it has 2^32-1 values': echo(verbatim('dd ffffffff 01')),
  'with a map that says it has 2^32-1 keys': echo(verbatim('df ffffffff a1 61 01')),
  'with a string that says it has 2^32-1 bytes': echo(verbatim('db ffffffff 61')),
  'with a binary that says it has 2^32-1 bytes': echo(verbatim('c6 ffffffff 61')),
  'with an extension that says it has 2^32-1 bytes': echo(verbatim('c9 ffffffff 05 61')),
};

forEachTarget('frames', (target) => {
  for (const [what, sent] of Object.entries(WRONG))
    it(`${what} end the connection, with a reason`, async () => {
      const peer = await target().connect();
      if (what.includes('just over')) sent.writeUInt32BE(Number(peer.server.frame) + 1);
      // What comes behind must not be taken for anything.
      peer.raw(Buffer.concat([sent, echo('behind')]));
      await peer.refused();
      assert.equal(peer.talk.answers.has(77), false);
      assert.ok((peer.talk.reason?.message ?? '').length > 0);
    });

  it('of a length over the limit are refused by their length, before anything else of them is there', async () => {
    const peer = await target().connect();
    peer.raw(bytes('7fffffff'));
    await peer.refused();
  });

  it('without a greeting end the connection, too', async () => {
    const peer = await target().connect({ greet: false });
    peer.raw(echo(verbatim('c1')));
    await peer.refused();
    assert.equal(peer.talk.answers.size, 0);
  });

  it('that nothing asked for change nothing, or end the connection', async () => {
    const peer = await target().connect();
    peer.send([1, 1, null, 'an answer'], [2, '$item', [1, 1]], [2, '$drain', []], [2, '$unknown', [1]]);
    const ping = peer.ask('$ping');
    await Promise.race([peer.answer(ping), peer.ended]).catch(() => undefined);
    assert.ok(peer.isEnded || peer.talk.answers.has(ping));
    assert.equal(await (await target().connect()).result('echo', 'well'), 'well');
  });

  it('that the server answered before a wrong one came are answered', async () => {
    const peer = await target().connect();
    assert.equal(await peer.result('echo', 'before'), 'before');
    peer.raw(frame('wrong'));
    await peer.refused();
  });

  it('that end with the connection do no harm', async () => {
    const whole = echo('x'.repeat(100));
    for (let cut = 1; cut < whole.length; cut += 7) {
      const peer = await target().connect();
      peer.raw(whole.subarray(0, cut));
      if (cut % 2 === 0) await pause(1);
      await peer.leave();
    }
    assert.equal(await (await target().connect()).result('echo', 'well'), 'well');
  });

  it('with what a client says as its last word end the connection in peace', async () => {
    const peer = await target().connect();
    peer.send([2, '$close', ['bad-frame', 'I do not like you']]);
    peer.socket.end();
    await peer
      .until('an end', () => peer.isEnded)
      .catch((error) => {
        if (!peer.isEnded) throw error;
      });
    assert.equal(await (await target().connect()).result('echo', 'well'), 'well');
  });
});

forEachTarget('a bare MessagePack-RPC peer', (target) => {
  it('is served without lengths and without extras', async () => {
    const peer = await target().connect({ framed: false });
    assert.equal(await peer.result('add', 1, 2), 3);
    assert.deepEqual(await peer.result('echo', { a: [1, 'ä', null] }), { a: [1, 'ä', null] });
    assert.deepEqual(await peer.result('count', 3), [0, 1, 2]);
    assert.equal((await peer.problem('throw', ['it broke'])).code, 'failed');
    assert.equal(((await peer.result('context')) as { greeted: unknown }).greeted, false);
  });

  it('may begin with a notification, and send many at a time, however they are cut', async () => {
    const peer = await target().connect({ framed: false });
    const before = Number(await (await target().connect()).result('bumped'));
    const ids = Array.from({ length: 40 }, () => peer.id());
    for (const id of ids) peer.expect(id);
    const all = Buffer.concat([pack([2, 'bump', []]), ...ids.map((id) => pack([0, id, 'echo', [`value of ${id}`]]))]);
    for (let at = 0; at < all.length; at += 17) {
      peer.raw(all.subarray(at, at + 17));
      await pause(1);
    }
    for (const id of ids) assert.equal((await peer.answer(id)).result, `value of ${id}`);
    assert.equal(await peer.result('bumped'), before + 1);
  });

  it('sends large values in many pieces, up to 1 MiB', async () => {
    const peer = await target().connect({ framed: false });
    assert.equal(await peer.result('size', Buffer.alloc(1_000_000)), 1_000_000);
    const larger = await target().connect({ framed: false });
    larger.ask('size', [Buffer.alloc(1_200_000)]);
    await larger.refused();
    assert.equal(larger.talk.answers.size, 0);
  });

  it('is not listened to when what it sends is no message', async () => {
    for (const wrong of [
      bytes('94 c1'),
      bytes('93 07 a1 61 90'),
      Buffer.concat([pack([0, 1, 'add', [1, 2]]), bytes('c1')]),
    ]) {
      const peer = await target().connect({ framed: false });
      peer.expect(1);
      peer.raw(wrong);
      await peer.refused();
    }
  });

  it('that claims endless values is not waited for without bounds', async () => {
    const peer = await target().connect({ framed: false });
    peer.raw(bytes('94 00 01 a4 6563686f 91 c6 7fffffff'));
    const piece = Buffer.alloc(65_536);
    for (let sent = 0; sent < 64 && !peer.isEnded; sent += 1) {
      peer.raw(piece);
      await pause(1);
    }
    await peer.refused();
  });
});
