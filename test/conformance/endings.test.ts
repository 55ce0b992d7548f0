import assert from 'node:assert/strict';
import { problemOf } from './peer/conversation.ts';
import { HANG_MS } from './peer/peer.ts';
import { forEachTarget, until } from './target.ts';

const NEVER_MS = 600_000;

forEachTarget('what ends a call', (target) => {
  it('is its deadline, told to the method and to the client', async () => {
    const peer = await target().connect();
    const began = performance.now();
    const { code } = await peer.problem('sleep', [NEVER_MS], { deadline: 100 });
    assert.equal(code, 'deadline-exceeded');
    const took = performance.now() - began;
    assert.ok(took >= 95 && took < HANG_MS, `${took} ms`);
    assert.equal(await peer.result('echo', 'after'), 'after');
  });

  it('is not a deadline that it keeps', async () => {
    const peer = await target().connect();
    const { result } = await peer.call('sleep', [20], { deadline: 60_000 });
    assert.equal(result, 'slept');
  });

  it('is a deadline of a streamed one, too', async () => {
    const peer = await target().connect();
    const { code } = await peer.problem('forever', [], { deadline: 200, stream: 4 });
    assert.equal(code, 'deadline-exceeded');
    await until('no stream', async () => (await peer.result('streams')) === 0);
  });

  it('is the wish of the client, and the method knows', async () => {
    const peer = await target().connect();
    const before = Number(await peer.result('cancelled'));
    const id = peer.ask('sleep', [NEVER_MS]);
    // One that has not begun when the wish comes need not begin any more.
    assert.equal(await peer.result('echo', 'begun'), 'begun');
    peer.send([2, '$cancel', [id]]);
    assert.equal(problemOf((await peer.answer(id)).error)?.code, 'cancelled');
    await until('the method to be cancelled', async () => Number(await peer.result('cancelled')) === before + 1);
  });

  it('is not a wish that comes too late, or for nobody', async () => {
    const peer = await target().connect();
    const id = peer.ask('echo', ['done']);
    await peer.answer(id);
    peer.send([2, '$cancel', [id]], [2, '$cancel', [4_000_000_000]], [2, '$credit', [4_000_000_000, 1]]);
    assert.equal(await peer.result('echo', 'well'), 'well');
  });

  it('is a wish that comes in one write with the request', async () => {
    const peer = await target().connect();
    const id = peer.id();
    peer.expect(id);
    peer.send([0, id, 'sleep', [NEVER_MS]], [2, '$cancel', [id]]);
    assert.equal(problemOf((await peer.answer(id)).error)?.code, 'cancelled');
  });

  it('is the end of the connection: what nobody will hear is not gone on with', async () => {
    const watcher = await target().connect();
    const before = Number(await watcher.result('cancelled'));
    const peer = await target().connect();
    for (let each = 0; each < 5; each += 1) peer.ask('sleep', [NEVER_MS]);
    peer.ask('forever', [], { stream: 1 });
    await until('the stream', async () => (await watcher.result('streams')) === 1);
    await peer.leave();
    await until('no stream', async () => (await watcher.result('streams')) === 0);
    await until('five fewer', async () => Number(await watcher.result('cancelled')) >= before + 5);
  });
});
