import assert from 'node:assert/strict';
import { limitChanges } from '../../../src/plan/limit-texts.ts';
import { examplePlan } from '../../support/plans.ts';

describe('changes of limits', () => {
  it('say whether they are set on what runs or take new sandboxes', () => {
    const { limits } = examplePlan({ limits: { memoryMax: 64 << 20 } });
    const io = [{ path: '/srv', read: 1 << 20, write: 'infinity', readIops: 'infinity', writeIops: 9 }] as const;
    const changed = { ...limits, memoryMax: 1 << 30, cpuQuotaPerSecUsec: 500_000, io, files: 99, core: 0 };
    assert.deepEqual(limitChanges(limits, limits), []);
    assert.deepEqual(limitChanges(limits, changed), [
      'limits.memory: 64M becomes 1G; a reload sets it on what runs',
      'limits.cpu: infinity becomes 50%; a reload sets it on what runs',
      'limits.io: none becomes /srv read 1M write-iops 9; a reload sets it on what runs',
      'limits.files: 1024 becomes 99; a reload replaces the sandboxes',
    ]);
  });
});
