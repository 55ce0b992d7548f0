import assert from 'node:assert/strict';
import { Turns } from '../../../src/sandbox/turns.ts';
import { ManualClock } from '../systemd/fake-peer.ts';

describe('Turns', () => {
  /** Who has had a turn by now. */
  async function taken(turns: Turns, names: readonly string[]): Promise<string[]> {
    const had: string[] = [];
    for (const name of names) void turns.take(name).then(() => had.push(name));
    await new Promise(setImmediate);
    return had;
  }

  it('lets so many work at once, in the order in which they came', async () => {
    const turns = new Turns(2, new ManualClock());
    const had = await taken(turns, ['a', 'b', 'c', 'd']);
    assert.deepEqual(had, ['a', 'b']);
    turns.giveBack('b');
    await new Promise(setImmediate);
    assert.deepEqual(had, ['a', 'b', 'c']);
    turns.release();
  });

  it('hands a turn on once, however often it is given back', async () => {
    const turns = new Turns(1, new ManualClock());
    const had = await taken(turns, ['a', 'b', 'c']);
    turns.giveBack('a');
    turns.giveBack('a');
    turns.giveBack('stranger');
    await new Promise(setImmediate);
    assert.deepEqual(had, ['a', 'b']);
    turns.release();
  });

  it('lets nobody wait for one that does not come to its end', async () => {
    const clock = new ManualClock();
    const turns = new Turns(1, clock);
    const had = await taken(turns, ['stuck', 'next']);
    clock.advance(4999);
    await new Promise(setImmediate);
    assert.deepEqual(had, ['stuck']);
    clock.advance(1);
    await new Promise(setImmediate);
    assert.deepEqual(had, ['stuck', 'next']);
    turns.release();
  });
});
