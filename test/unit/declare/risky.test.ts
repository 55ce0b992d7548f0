import assert from 'node:assert/strict';
import { isRiskyAllowed } from '../../../src/declare/risky.ts';

const at = (day: number, hour: number, minute = 0) => ({ day, minute: hour * 60 + minute });

describe('isRiskyAllowed', () => {
  it('is within the window of its days', () => {
    const window = { days: [1, 2], fromMinute: 60, toMinute: 300 };
    const allowed = [at(1, 1), at(1, 4, 59), at(2, 3)];
    const forbidden = [at(1, 0, 59), at(1, 5), at(0, 2), at(3, 2), at(2, 23)];
    for (const time of allowed) assert.equal(isRiskyAllowed(window, time), true, JSON.stringify(time));
    for (const time of forbidden) assert.equal(isRiskyAllowed(window, time), false, JSON.stringify(time));
  });

  it('goes on after midnight into a day that need not be named', () => {
    const window = { days: [6], fromMinute: 22 * 60, toMinute: 4 * 60 };
    for (const time of [at(6, 22), at(6, 23, 59), at(0, 0), at(0, 3, 59)])
      assert.equal(isRiskyAllowed(window, time), true, JSON.stringify(time));
    for (const time of [at(6, 0), at(6, 21, 59), at(0, 4), at(0, 22), at(1, 0)])
      assert.equal(isRiskyAllowed(window, time), false, JSON.stringify(time));
  });

  it('forbids nothing where nothing is said', () => assert.equal(isRiskyAllowed(undefined, at(3, 3)), true));
});
