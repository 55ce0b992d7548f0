import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { createTask, validate } from 'node-cron';
import { plainCron, readCron } from '../../../src/declare/cron.ts';
import { atTimes } from '../../../src/watch/schedule.ts';

/** Fields as people write them, right and wrong. */
function field(least: number, most: number, names: readonly string[] = []): fc.Arbitrary<string> {
  const number = fc.oneof(
    fc.integer({ min: least - 1, max: most + 1 }).map(String),
    ...(names.length > 0 ? [fc.constantFrom(...names)] : []),
  );
  const range = fc.tuple(number, number).map(([from, to]) => `${from}-${to}`);
  const stepped = fc.tuple(fc.oneof(fc.constant('*'), range), fc.nat(30)).map(([of, step]) => `${of}/${step}`);
  return fc.oneof(
    fc.constant('*'),
    fc.array(fc.oneof(number, range, stepped), { minLength: 1, maxLength: 4 }).map((parts) => parts.join(',')),
  );
}

const expression = fc
  .tuple(
    field(0, 59),
    field(0, 23),
    field(1, 31),
    field(1, 12, ['jan', 'Feb', 'DEC']),
    field(0, 7, ['sun', 'Mon', 'SAT']),
  )
  .map((fields) => fields.join(' '));

describe('schedules', () => {
  it('take no expression that node-cron would not, and mean the same by it', () => {
    fc.assert(
      fc.property(expression, (text) => {
        if ('refused' in readCron(text)) return;
        const plain = plainCron(text);
        assert.ok(validate(plain), `${text} -> ${plain}`);
        const [next] = createTask(plain, () => {}).getNextRuns(1);
        assert.ok(next !== undefined, text);
        const at = [next.getSeconds(), next.getMinutes(), next.getHours()];
        const day = [next.getDate(), next.getMonth() + 1, next.getDay()];
        plain.split(' ').forEach((numbers, index) => {
          const value = String([...at, ...day][index]);
          const allowed = numbers.split(',').map((each) => (index === 5 && each === '7' ? '0' : each));
          assert.ok(numbers === '*' || allowed.includes(value), `${text}: ${next} is not in '${numbers}'`);
        });
      }),
      { numRuns: 300 },
    );
  }).timeout(20_000);

  it('call at their time, and no more once they are released', async () => {
    let calls = 0;
    const timer = atTimes('* * * * * *', () => calls++);
    const begin = Date.now();
    while (calls < 2 && Date.now() - begin < 8000) await pause(50);
    timer.release();
    const seen = calls;
    assert.ok(seen >= 2, `${seen} calls`);
    await pause(1500);
    assert.equal(calls, seen);
  }).timeout(15_000);
});
