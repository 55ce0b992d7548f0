import assert from 'node:assert/strict';
import { Failure } from '../../../src/base/failure.ts';
import { EventCursor } from '../../../src/control/event-cursor.ts';
import { EventSignal, WINDOW_MS } from '../../../src/control/event-signal.ts';
import { runCommandLine } from '../../../src/control/run.ts';
import { VERBS } from '../../../src/control/verb-table.ts';
import { event, FakeManager, status } from './support/fake-manager.ts';
import { FakeClock, FakeWorld } from './support/fake-world.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('event cursor', () => {
  it('shows every event once', () => {
    const cursor = new EventCursor(2);
    assert.deepEqual(
      cursor.take([event(2), event(3), event(4)]).map(({ number }) => number),
      [3, 4],
    );
    assert.deepEqual(
      cursor.take([event(4), event(5)]).map(({ number }) => number),
      [5],
    );
    assert.equal(cursor.last, 5);
  });

  it('counts what the ring forgot', () => {
    const cursor = new EventCursor(2);
    assert.equal(cursor.missingBefore([event(3)]), 0);
    assert.equal(cursor.missingBefore([event(10)]), 7);
    assert.equal(cursor.missingBefore([]), 0);
    assert.equal(new EventCursor(0).missingBefore([event(500)]), 0);
  });

  it('goes on where it was when the same supervisor is seen again', () => {
    const cursor = new EventCursor(0);
    cursor.take([event(1), event(2, { at: 1001 })]);
    cursor.reconnect();
    const again = [event(1), event(2, { at: 1001 }), event(3, { at: 1001 })];
    assert.deepEqual(
      cursor.take(again).map(({ number }) => number),
      [3],
    );
  });

  it('does not mistake a new supervisor, which counts from 1, for the old one', () => {
    const cursor = new EventCursor(0);
    cursor.take([event(1), event(2), event(3)]);
    cursor.reconnect();
    assert.deepEqual(
      cursor.take([event(1, { at: 2000 }), event(2, { at: 2001 })]).map(({ at }) => at),
      [2000, 2001],
    );
    assert.equal(cursor.last, 2);
  });
});

describe('event signal', () => {
  it('sends the first at once and the rest of a storm together', () => {
    const clock = new FakeClock();
    let tell: (number: number) => void = () => {};
    const sent: number[] = [];
    const source = {
      onEvent: (listener: (record: ReturnType<typeof event>) => void) => {
        tell = (number) => listener(event(number));
        return { release: () => {} };
      },
    };
    const signal = new EventSignal(source, clock, (newest) => sent.push(newest));
    for (let number = 1; number <= 500; number++) tell(number);
    assert.deepEqual(sent, [1]);
    clock.advance(WINDOW_MS);
    assert.deepEqual(sent, [1, 500]);
    clock.advance(10 * WINDOW_MS);
    assert.deepEqual(sent, [1, 500]);
    tell(501);
    assert.deepEqual(sent, [1, 500, 501]);
    signal.release();
    assert.equal(clock.timers, 0);
  });
});

describe('bulkheadctl events', () => {
  function world() {
    const manager = new FakeManager();
    manager.statuses = [status('hello')];
    return { manager, world: new FakeWorld(manager) };
  }

  it('shows what is remembered, of one plugin, since a number', async () => {
    const { manager, world: here } = world();
    manager.ring = [event(1), event(2), event(3, { plugin: 'other' }), event(4)];
    assert.equal(await runCommandLine(['events', 'hello', '--since', '1', '--json'], VERBS, here), 0);
    const lines = here.out.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(lines, [manager.ring[1], manager.ring[3]]);
  });

  it('finds a misspelt plugin', async () => {
    const { world: here } = world();
    assert.equal(await runCommandLine(['events', 'helo'], VERBS, here), 4);
    assert.match(here.err.text, /did you mean 'hello'/);
    assert.equal(await runCommandLine(['events', 'hello'], VERBS, here), 0);
  });

  it('follows through a restart of the supervisor, in order and without repetition', async () => {
    const { manager, world: here } = world();
    manager.ring = [event(1)];
    const done = runCommandLine(['events', '--follow', '--json'], VERBS, here);
    await turn();
    manager.happen(event(2));
    manager.happen(event(3));
    await turn();
    const fetch = manager.events.bind(manager);
    manager.events = async () => {
      throw new Failure('BH402', 'gone');
    };
    for (const watcher of manager.watchers) watcher.lost();
    manager.happen();
    await turn();
    manager.events = fetch;
    manager.ring = [event(1, { at: 9000 }), event(2, { at: 9001 })];
    for (const watcher of manager.watchers) watcher.back();
    await turn();
    here.interrupt();
    assert.equal(await done, 0);
    const shown = here.out.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).at);
    assert.deepEqual(shown, [1001, 1002, 1003, 9000, 9001]);
    assert.match(here.err.text, /is away.*is back/s);
    assert.equal(manager.watchers.size, 0);
  });

  it('stops following when it is not allowed to', async () => {
    const { manager, world: here } = world();
    const done = runCommandLine(['events', '-f'], VERBS, here);
    await turn();
    manager.events = async () => {
      throw new Failure('BH403', 'org.bulkhead.read');
    };
    manager.happen(event(1));
    assert.equal(await done, 5);
  });
});
