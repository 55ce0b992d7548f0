import assert from 'node:assert/strict';
import {
  beginUpgrade,
  type CommittedUpgrade,
  commitUpgrade,
  endUpgrade,
  type FailedUpgrade,
  forgetFailed,
  formatLiveRecord,
  type LiveRecord,
  MOST_FAILED,
  NO_LIVE_RECORD,
  parseLiveRecord,
  rememberFailed,
  versionInForce,
  versionsInUse,
} from '../../../src/base/live-record.ts';

const COMMITTED: CommittedUpgrade = { version: 'v2', previous: 'v1', declared: 'v1', at: 1000, by: 'uid 0' };

function failed(number: number, digest = String(number).padStart(16, '0')): FailedUpgrade {
  return { version: 'v3', digest, at: number, code: 'BH304', text: `attempt ${number}` };
}

describe('live record', () => {
  it('puts the committed version in force while the declaration says what it said then', () => {
    const record = commitUpgrade(NO_LIVE_RECORD, COMMITTED);
    assert.equal(versionInForce(record, 'v1'), 'v2');
    assert.equal(versionInForce(record, 'v3'), 'v3', 'edited afterwards');
    assert.equal(versionInForce(record, undefined), undefined, 'taken out of the declaration');
    assert.equal(versionInForce(NO_LIVE_RECORD, 'v1'), 'v1');
  });

  it('keeps from removal what is live, what was, and what an upgrade is about', () => {
    const record = beginUpgrade(commitUpgrade(NO_LIVE_RECORD, COMMITTED), { version: 'v3', since: 2000 });
    assert.deepEqual([...versionsInUse(record, 'v1')].sort(), ['v1', 'v2', 'v3']);
    assert.deepEqual([...versionsInUse(endUpgrade(record), 'v4')].sort(), ['v1', 'v2', 'v4']);
    assert.deepEqual([...versionsInUse(NO_LIVE_RECORD, undefined)], []);
  });

  it('stays under way over its commit, until it is over', () => {
    const begun = beginUpgrade(NO_LIVE_RECORD, { version: 'v2', since: 500 });
    const committed = commitUpgrade(begun, COMMITTED);
    assert.deepEqual(committed.underWay, { version: 'v2', since: 500 });
    assert.deepEqual(endUpgrade(committed), { committed: COMMITTED, underWay: undefined, failed: [] });
  });

  it('remembers each failed plan once, and the last ones only', () => {
    let record: LiveRecord = NO_LIVE_RECORD;
    for (let number = 0; number < MOST_FAILED + 5; number++) record = rememberFailed(record, failed(number));
    assert.equal(record.failed.length, MOST_FAILED);
    assert.equal(record.failed[0]?.at, 5);
    const again = rememberFailed(record, failed(99, failed(7).digest));
    assert.equal(again.failed.length, MOST_FAILED);
    assert.equal(again.failed.at(-1)?.at, 99);
    assert.equal(forgetFailed(again, failed(7).digest).failed.length, MOST_FAILED - 1);
  });

  it('bounds what strangers have a part in', () => {
    const record = rememberFailed(commitUpgrade(NO_LIVE_RECORD, { ...COMMITTED, by: 'x'.repeat(9999) }), {
      ...failed(1),
      text: 'y'.repeat(9999),
    });
    assert.deepEqual(parseLiveRecord('hello', formatLiveRecord('hello', record)), record);
  });

  it('is the same after it was written and read', () => {
    let record = rememberFailed(commitUpgrade(NO_LIVE_RECORD, COMMITTED), failed(1));
    record = beginUpgrade(record, { version: undefined, since: 3 });
    assert.deepEqual(parseLiveRecord('hello', formatLiveRecord('hello', record)), record);
    assert.deepEqual(parseLiveRecord('hello', formatLiveRecord('hello', NO_LIVE_RECORD)), NO_LIVE_RECORD);
  });

  const whole = JSON.parse(
    formatLiveRecord('hello', rememberFailed(commitUpgrade(NO_LIVE_RECORD, COMMITTED), failed(1))),
  );
  const [one] = whole.failed;
  const damages: readonly [string, unknown][] = [
    ['another format', { ...whole, format: 2 }],
    ['another plugin', { ...whole, plugin: 'other' }],
    ['no committed', { ...whole, committed: undefined }],
    ['a path for a version', { ...whole, committed: { ...whole.committed, version: '../../etc' } }],
    ['a number for a version', { ...whole, committed: { ...whole.committed, previous: 1 } }],
    ['a time before all times', { ...whole, committed: { ...whole.committed, at: -1 } }],
    ['a list for an upgrade', { ...whole, underWay: [] }],
    ['too many failures', { ...whole, failed: Array(MOST_FAILED + 1).fill(one) }],
    ['an unknown code', { ...whole, failed: [{ ...one, code: 'BH999' }] }],
    ['a name of Object for a code', { ...whole, failed: [{ ...one, code: 'toString' }] }],
    ['a long text', { ...whole, failed: [{ ...one, text: 'x'.repeat(501) }] }],
    ['no object', []],
  ];
  for (const [what, value] of damages)
    it(`is refused with ${what}`, () =>
      assert.throws(() => parseLiveRecord('hello', JSON.stringify(value)), RangeError));

  it('is refused when it is half a file', () => {
    const text = formatLiveRecord('hello', NO_LIVE_RECORD);
    assert.throws(() => parseLiveRecord('hello', text.slice(0, 20)), SyntaxError);
  });
});
