import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { problemOf } from './peer/conversation.ts';
import { forEachTarget, until } from './target.ts';

/** Nothing can prove that nothing comes; so long (ms) it is looked for. */
const SILENCE_MS = 300;

function upTo(n: number): number[] {
  return Array.from({ length: n }, (_, index) => index);
}

forEachTarget('streams', (target) => {
  it('bring all parts in order, and the result behind them', async () => {
    const peer = await target().connect();
    const { error, result, items } = await peer.call('count', [10], { stream: 16 });
    assert.deepEqual([error, result, items], [undefined, 10, upTo(10)]);
  });

  it('wait for credit, and go on with it', async () => {
    const peer = await target().connect();
    const id = peer.ask('count', [10], { stream: 3 });
    const items = () => peer.talk.open.get(id)?.items ?? [];
    await peer.until('three parts', () => items().length === 3);
    await pause(SILENCE_MS);
    assert.equal(items().length, 3);
    peer.credit(id, 2);
    await peer.until('five parts', () => items().length === 5);
    await pause(SILENCE_MS);
    assert.equal(items().length, 5);
    peer.credit(id, 1000);
    assert.deepEqual((await peer.answer(id)).items, upTo(10));
  });

  it('end without more credit when there are no more parts', async () => {
    const peer = await target().connect();
    const { result, items } = await peer.call('count', [4], { stream: 4 });
    assert.deepEqual([result, items], [4, upTo(4)]);
    assert.equal((await peer.call('count', [0], { stream: 1 })).result, 0);
  });

  it('run side by side, each with its own credit', async () => {
    const peer = await target().connect();
    const ids = upTo(8).map((index) => peer.ask('count', [20 + index], { stream: 1 + index }));
    for (let given = 0; given < 30; given += 1) for (const id of ids) if (peer.talk.open.has(id)) peer.credit(id, 1);
    for (const [index, id] of ids.entries()) assert.deepEqual((await peer.answer(id)).items, upTo(20 + index));
  });

  it('end by the wish of the client, also while they wait for credit', async () => {
    const peer = await target().connect();
    for (const credit of [1, 1024]) {
      const id = peer.ask('forever', [], { stream: credit });
      await peer.until('a part', () => (peer.talk.open.get(id)?.items.length ?? 0) > 0);
      peer.send([2, '$cancel', [id]]);
      assert.equal(problemOf((await peer.answer(id)).error)?.code, 'cancelled');
    }
    await until('no stream', async () => (await peer.result('streams')) === 0);
  });

  it('of one result come as that', async () => {
    const peer = await target().connect();
    const { result, items } = await peer.call('add', [1, 2], { stream: 8 });
    assert.deepEqual([result, items], [3, []]);
  });

  it('that are not asked for come as one array, or not at all if that is too large', async () => {
    const peer = await target().connect({ frame: 65_536 });
    assert.deepEqual(await peer.result('count', 5), upTo(5));
    assert.equal((await peer.problem('count', [100_000])).code, 'too-large');
    // It must not be gathered until there is no memory.
    assert.equal((await peer.problem('forever')).code, 'too-large');
    await until('no stream', async () => (await peer.result('streams')) === 0);
  });

  it('do not hold up other calls', async () => {
    const peer = await target().connect();
    const id = peer.ask('forever', [], { stream: 1024 });
    for (let turn = 0; turn < 20; turn += 1) {
      if (peer.talk.open.has(id)) peer.credit(id, 500);
      assert.equal(await peer.result('echo', turn), turn);
    }
    peer.send([2, '$cancel', [id]]);
    await peer.answer(id);
  });

  it('never have more than 65,536 parts open: more credit ends the connection, or is not counted', async () => {
    const peer = await target().connect();
    const id = peer.ask('count', [3, 60_000], { stream: 1024 });
    for (let given = 0; given < 80; given += 1) peer.credit(id, 1024);
    const ping = peer.ask('$ping');
    await Promise.race([peer.answer(ping), peer.ended]).catch(() => undefined);
    assert.ok(peer.isEnded ? peer.talk.reason?.code === 'bad-frame' : peer.talk.answers.has(ping));
  });
});
