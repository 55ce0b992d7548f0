import assert from 'node:assert/strict';
import {
  beginUpgrade,
  type CommittedUpgrade,
  commitUpgrade,
  endUpgrade,
  type FailedUpgrade,
  formatLiveRecord,
  MOST_FAILED,
  NO_LIVE_RECORD,
  parseLiveRecord,
  versionInForce,
} from '../../../src/base/live-record.ts';

const COMMITTED: CommittedUpgrade = { version: 'v2', previous: 'v1', declared: 'v1', at: 1000, by: 'uid 0' };

function failed(number: number): FailedUpgrade {
  return {
    version: 'v3',
    digest: String(number).padStart(16, '0'),
    at: number,
    code: 'BH304',
    text: `attempt ${number}`,
  };
}

describe('live record', () => {
  it('puts the committed version in force while the declaration says what it said then', () => {
    const record = commitUpgrade(NO_LIVE_RECORD, COMMITTED);
    assert.equal(versionInForce(record, 'v1'), 'v2');
    assert.equal(versionInForce(record, 'v3'), 'v3', 'edited afterwards');
    assert.equal(versionInForce(record, undefined), undefined, 'taken out of the declaration');
    assert.equal(versionInForce(NO_LIVE_RECORD, 'v1'), 'v1');
  });

  it('stays under way over its commit, until it is over', () => {
    const begun = beginUpgrade(NO_LIVE_RECORD, { version: 'v2', since: 500 });
    const committed = commitUpgrade(begun, COMMITTED);
    assert.deepEqual(committed.underWay, { version: 'v2', since: 500 });
    assert.deepEqual(endUpgrade(committed, []), { committed: COMMITTED, underWay: undefined, failed: [] });
  });

  it('remembers the last failed plans only', () => {
    const all = Array.from({ length: MOST_FAILED + 5 }, (_, number) => failed(number));
    const record = endUpgrade(NO_LIVE_RECORD, all);
    assert.deepEqual(record.failed, all.slice(5));
    assert.deepEqual(endUpgrade(record, []).failed, [], 'and what the caller has forgotten is forgotten');
  });

  it('bounds what strangers have a part in', () => {
    const committed = commitUpgrade(NO_LIVE_RECORD, { ...COMMITTED, by: 'x'.repeat(9999) });
    const record = endUpgrade(committed, [{ ...failed(1), text: 'y'.repeat(9999) }]);
    assert.deepEqual(parseLiveRecord('hello', formatLiveRecord('hello', record)), record);
  });

  it('is the same after it was written and read', () => {
    let record = endUpgrade(commitUpgrade(NO_LIVE_RECORD, COMMITTED), [failed(1)]);
    record = beginUpgrade(record, { version: undefined, since: 3 });
    assert.deepEqual(parseLiveRecord('hello', formatLiveRecord('hello', record)), record);
    assert.deepEqual(parseLiveRecord('hello', formatLiveRecord('hello', NO_LIVE_RECORD)), NO_LIVE_RECORD);
  });

  const whole = JSON.parse(
    formatLiveRecord('hello', endUpgrade(commitUpgrade(NO_LIVE_RECORD, COMMITTED), [failed(1)])),
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
