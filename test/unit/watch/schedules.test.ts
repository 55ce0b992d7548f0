import assert from 'node:assert/strict';
import type { Scheduled } from '../../../src/declare/recovery.ts';
import { Schedules } from '../../../src/watch/schedules.ts';

const nightly: Scheduled = { action: 'recycle', cron: '0 3 * * *' };
const weekly: Scheduled = { action: 'recycle', cron: '0 4 * * sun' };

describe('Schedules', () => {
  let armed: { readonly cron: string; readonly run: () => void }[];
  let due: string[];
  let schedules: Schedules;

  beforeEach(() => {
    armed = [];
    due = [];
    schedules = new Schedules({
      atTimes(cron, run) {
        const timer = { cron, run };
        armed.push(timer);
        return { release: () => void armed.splice(armed.indexOf(timer), 1) };
      },
      due: (plugin, { action, cron }) => due.push(`${plugin} ${action} ${cron}`),
    });
  });

  const crons = () => armed.map(({ cron }) => cron);

  it('arms what is declared, and tells whose time it is', () => {
    schedules.keep('a', [nightly, weekly]);
    schedules.keep('b', [weekly]);
    assert.deepEqual(crons(), ['0 3 * * *', '0 4 * * sun', '0 4 * * sun']);
    for (const { run } of armed) run();
    assert.deepEqual(due, ['a recycle 0 3 * * *', 'a recycle 0 4 * * sun', 'b recycle 0 4 * * sun']);
  });

  it('leaves alone what did not change, so that no tick is lost', () => {
    schedules.keep('a', [nightly]);
    const [before] = armed;
    schedules.keep('a', [{ ...nightly }]);
    assert.equal(armed[0], before);
    schedules.keep('a', [weekly]);
    assert.deepEqual(crons(), ['0 4 * * sun']);
  });

  it('lets go of what is not wanted any more', () => {
    schedules.keep('a', [nightly]);
    schedules.keep('b', [weekly]);
    schedules.keep('a', []);
    assert.deepEqual(crons(), ['0 4 * * sun']);
    schedules.release();
    assert.deepEqual(crons(), []);
  });
});
