import assert from 'node:assert/strict';
import type { PlannedLimits } from '../../../src/plan/plan.ts';
import { MEMORY_OVERHEAD, sliceLimits, TASKS_OVERHEAD, unitLimits } from '../../../src/unit/overhead.ts';

const LIMITS: PlannedLimits = {
  memoryMax: 1000,
  memoryHigh: 750,
  swapMax: 10,
  cpuQuotaPerSecUsec: 500_000,
  cpuWeight: 100,
  tasksMax: 8,
  files: 64,
};
const NONE: PlannedLimits = {
  ...LIMITS,
  memoryMax: 'infinity',
  memoryHigh: 'infinity',
  swapMax: 'infinity',
  cpuQuotaPerSecUsec: 'infinity',
  tasksMax: 'infinity',
};

describe('overhead', () => {
  it('leaves the payload what was declared', () => {
    const unit = unitLimits(LIMITS);
    assert.equal(unit.memoryMax, 1000 + MEMORY_OVERHEAD);
    assert.equal(unit.memoryHigh, 750 + MEMORY_OVERHEAD);
    assert.equal(unit.tasksMax, 8 + TASKS_OVERHEAD);
    assert.equal(unit.swapMax, 10);
  });

  it('gives the slice room for two pools', () => {
    const slice = sliceLimits(LIMITS, 3);
    assert.equal(slice.memoryMax, 6 * (1000 + MEMORY_OVERHEAD));
    assert.equal(slice.tasksMax, 6 * (8 + TASKS_OVERHEAD));
    assert.equal(slice.cpuQuotaPerSecUsec, 3_000_000);
    assert.equal(slice.memoryHigh, 'infinity');
  });

  it('keeps no limit no limit', () => {
    assert.deepEqual(unitLimits(NONE), NONE);
    assert.deepEqual(sliceLimits(NONE, 4), NONE);
  });
});
