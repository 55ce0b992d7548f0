import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { DEFAULT_CONFIGURATION } from '../../../src/declare/configuration.ts';
import { NodeWatch } from '../../../src/watch/node-watch.ts';
import { FakeClock } from '../control/support/fake-world.ts';

const MINUTE = 60_000;
const thresholds = { ...DEFAULT_CONFIGURATION.node, everyMs: MINUTE, looks: 2 };
const hot = JSON.stringify({ temperature: 99 });
const well = JSON.stringify({ temperature: 50 });

describe('NodeWatch', () => {
  let clock: FakeClock;
  let answers: (string | Error)[];
  let news: string[];
  let asked: number;
  let watch: NodeWatch;

  beforeEach(() => {
    clock = new FakeClock();
    answers = [];
    news = [];
    asked = 0;
    watch = new NodeWatch({
      clock,
      wall: () => 1000 + clock.now(),
      look: async () => {
        asked++;
        const answer = answers.shift() ?? well;
        if (answer instanceof Error) throw answer;
        return answer;
      },
      began: ({ kind }) => news.push(`+${kind}`),
      ended: ({ kind }) => news.push(`-${kind}`),
      failed: ({ message }) => news.push(message),
    });
  });

  afterEach(() => {
    watch.release();
    assert.equal(clock.timers, 0);
  });

  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await setImmediate();
  };

  it('looks as often as it is told, and tells news only', async () => {
    watch.configure(thresholds);
    answers = [hot, hot, hot, well, well];
    for (let count = 0; count < 6; count++) await pass(MINUTE);
    assert.deepEqual(news, ['+temperature', '-temperature']);
    assert.equal(asked, 6);
    assert.equal(watch.seen?.facts.temperature, 50);
    assert.equal(watch.seen?.at, 1000 + clock.now());
  });

  it('waits longer and longer while looks fail, says so once, and keeps what it knows', async () => {
    watch.configure(thresholds);
    answers = [well, new Error('it hangs'), '{"temper', new Error('it hangs'), well, new Error('again')];
    await pass(5000);
    await pass(MINUTE);
    assert.equal(watch.failure?.message, 'it hangs');
    assert.equal(watch.seen?.facts.temperature, 50);
    await pass(MINUTE);
    assert.equal(asked, 2);
    await pass(MINUTE);
    await pass(4 * MINUTE);
    assert.equal(asked, 4);
    await pass(8 * MINUTE);
    assert.equal(watch.failure, undefined);
    await pass(MINUTE);
    assert.deepEqual(news, ['it hangs', 'again']);
  });

  it('never waits longer than an hour', async () => {
    watch.configure(thresholds);
    answers = Array.from({ length: 50 }, () => new Error('gone'));
    for (let count = 0; count < 20; count++) await pass(60 * MINUTE);
    assert.ok(asked >= 20, `${asked}`);
  });

  it('does not look when it is told not to, and again when it is', async () => {
    watch.configure({ ...thresholds, everyMs: 'infinity' });
    await pass(60 * MINUTE);
    assert.equal(asked, 0);
    watch.configure(thresholds);
    await pass(MINUTE);
    assert.equal(asked, 1);
    watch.configure({ ...thresholds, everyMs: 'infinity' });
    await pass(60 * MINUTE);
    assert.equal(asked, 1);
  });

  it('does not look twice at once when it is configured while it looks', async () => {
    let end = (): void => {};
    const slow = new NodeWatch({
      clock,
      wall: () => 0,
      look: () =>
        new Promise((resolve) => {
          asked++;
          end = () => resolve(well);
        }),
      began: () => {},
      ended: () => {},
      failed: () => {},
    });
    slow.configure(thresholds);
    await pass(5000);
    slow.configure(thresholds);
    await pass(10 * MINUTE);
    assert.equal(asked, 1);
    end();
    await setImmediate();
    await pass(MINUTE);
    assert.equal(asked, 2);
    slow.release();
    end();
    await setImmediate();
  });
});
