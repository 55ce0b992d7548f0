import assert from 'node:assert/strict';
import { plainCron, readCron, readDays } from '../../../src/declare/cron.ts';

describe('readCron', () => {
  const good = [
    '* * * * *',
    '17 3 * * *',
    '0 0 1,15 jan-mar *',
    '0 0 * jan MON-fri',
    '*/10 8-18/2 29 2 *',
    '30 * * * * *',
  ];
  for (const text of good) it(`takes '${text}'`, () => assert.deepEqual(readCron(text), { value: text }));

  const bad: readonly [text: string, why: string][] = [
    ['', 'it has no fields, not minute, hour, day of the month, month and day of the week'],
    ['* * * * * * *', 'it has 7 fields, not minute, hour, day of the month, month and day of the week'],
    ['60 * * * * *', "'60' is no second: 0 to 59"],
    ['* 24 * * *', "'24' is no hour: 0 to 23"],
    ['* * 0 * *', "'0' is no day of the month: 1 to 31"],
    ['* * * 13 *', "'13' is no month: 1 to 12, or jan to dec"],
    ['* * * * mond', "'mond' is no day of the week: 0 to 7, or sun to sat"],
    ['1, * * * *', "'' is no minute: 0 to 59"],
    ['0 0 1 * mon', "it names days of the month and days of the week; one of them must be '*'"],
    ['* * 31 apr,jun *', 'no month that it names has such a day'],
    [`${'1,'.repeat(120)}1 * * * *`, 'it has 249 characters'],
  ];
  for (const [text, refused] of bad)
    it(`refuses '${text.slice(0, 30)}'`, () => assert.deepEqual(readCron(text), { refused }));
});

describe('plainCron', () => {
  it('spells the numbers out', () => {
    assert.equal(plainCron('17 3 * * *'), '0 17 3 * * *');
    assert.equal(plainCron('*/20 8-10 1,15 JAN,mar *'), '0 0,20,40 8,9,10 1,15 1,3 *');
    assert.equal(plainCron('* 0 0 * * fri-sun'), '* 0 0 * * 5,6,7');
    assert.throws(() => plainCron('hourly'), RangeError);
  });
});

describe('readDays', () => {
  it('ends the week with Sunday, whatever its number', () => {
    for (const text of ['sat-sun', 'sat,sun', '6-7', '6-0', '0,6']) assert.deepEqual(readDays(text), { value: [0, 6] });
    assert.deepEqual(readDays('mon-sun'), { value: [0, 1, 2, 3, 4, 5, 6] });
    assert.deepEqual(readDays('sun-mon'), { value: [0, 1] });
  });
});
