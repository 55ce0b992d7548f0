import assert from 'node:assert/strict';
import { isLiveKey, limitText } from '../../../src/plan/limit-texts.ts';
import { examplePlan } from '../../support/plans.ts';

describe('texts of limits', () => {
  it('are as people write them', () => {
    const io = [{ path: '/srv', read: 1 << 20, write: 'infinity', readIops: 'infinity', writeIops: 9 }] as const;
    const { limits } = examplePlan({ limits: { memoryMax: 64 << 20, cpuQuotaPerSecUsec: 500_000, io, core: 0 } });
    assert.deepEqual(limitText('memoryMax', limits), { key: 'limits.memory', text: '64M' });
    assert.deepEqual(limitText('cpuQuotaPerSecUsec', limits), { key: 'limits.cpu', text: '50%' });
    assert.deepEqual(limitText('io', limits), { key: 'limits.io', text: '/srv read 1M write-iops 9' });
    assert.deepEqual(limitText('core', limits), { key: 'limits.core', text: '0' });
  });

  it('say which can be set on what runs', () => {
    assert.ok(isLiveKey('limits.memory') && isLiveKey('limits.io'));
    assert.ok(!isLiveKey('limits.files') && !isLiveKey('limits') && !isLiveKey('limits.log'));
  });
});
