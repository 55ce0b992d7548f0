import assert from 'node:assert/strict';
import { failedPlans, recordAfter } from '../../../src/act/upgrade-record.ts';
import { type LiveRecord, NO_LIVE_RECORD } from '../../../src/base/live-record.ts';

const DECLARED = { version: 'v1', previous: undefined, declared: 'v1' };
const UPGRADED = { version: 'v2', previous: 'v1', declared: 'v1' };
const COMMITTED: LiveRecord = { ...NO_LIVE_RECORD, committed: { ...UPGRADED, at: 5, by: 'uid 0' } };
const FAILED = {
  digest: '0123456789abcdef',
  version: 'v3',
  at: 7,
  reason: { code: 'BH326', text: 'errors' },
  incident: 'x',
} as const;

describe('the durable record of an upgrade', () => {
  it('names what is under way, then what is live, then nothing under way', () => {
    const begun = recordAfter(NO_LIVE_RECORD, { kind: 'begin-upgrade', id: 'hello-u1', version: 'v2' }, 4);
    assert.deepEqual(begun, { ...NO_LIVE_RECORD, underWay: { version: 'v2', since: 4 } });
    const committed = recordAfter(begun, { kind: 'commit', id: 'hello-u1', by: 'uid 0', ...UPGRADED }, 5);
    assert.deepEqual(committed, { ...begun, committed: COMMITTED.committed });
    const ended = recordAfter(committed, { kind: 'end-upgrade', failed: [], ...UPGRADED }, 6);
    assert.deepEqual(ended, COMMITTED);
  });

  it('is not changed by the same order once more', () => {
    const commit = { kind: 'commit', id: 'hello-u1', by: 'uid 0', ...UPGRADED } as const;
    assert.deepEqual(recordAfter(COMMITTED, commit, 99), COMMITTED);
    const end = { kind: 'end-upgrade', failed: [], ...UPGRADED } as const;
    assert.deepEqual(recordAfter(recordAfter(COMMITTED, end, 98), end, 99), COMMITTED);
  });

  it('leaves the declaration in force when nothing was ever committed', () => {
    const begun = recordAfter(NO_LIVE_RECORD, { kind: 'begin-upgrade', id: 'hello-u1', version: 'v2' }, 4);
    assert.deepEqual(recordAfter(begun, { kind: 'end-upgrade', failed: [], ...DECLARED }, 6), NO_LIVE_RECORD);
  });

  it('leaves the declaration in force when a declared version failed', () => {
    const live = { version: 'v2', previous: 'v1', declared: 'v3' };
    const ended = { kind: 'end-upgrade', failed: [FAILED], ...live } as const;
    assert.equal(recordAfter(NO_LIVE_RECORD, ended, 6).committed, undefined);
    assert.deepEqual(recordAfter(COMMITTED, ended, 6).committed, COMMITTED.committed);
  });

  it('takes back what was committed and undone, and keeps what failed', () => {
    const record = recordAfter(COMMITTED, { kind: 'end-upgrade', failed: [FAILED], ...DECLARED }, 8);
    assert.deepEqual(record.committed, { ...DECLARED, at: 8, by: 'uid 0' });
    assert.deepEqual(failedPlans(record), [{ ...FAILED, incident: undefined }]);
  });
});
