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
  ioWeight: 100,
  io: [{ path: '/var/lib', read: 1000, write: 'infinity', readIops: 'infinity', writeIops: 50 }],
  files: 64,
  memoryLock: 65_536,
  core: 0,
  log: { messages: 100, withinMs: 1000 },
};
const NONE: PlannedLimits = {
  ...LIMITS,
  memoryMax: 'infinity',
  memoryHigh: 'infinity',
  swapMax: 'infinity',
  cpuQuotaPerSecUsec: 'infinity',
  tasksMax: 'infinity',
  io: [],
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
    assert.deepEqual(slice.io, [
      { path: '/var/lib', read: 6000, write: 'infinity', readIops: 'infinity', writeIops: 300 },
    ]);
  });

  it('keeps no limit no limit', () => {
    assert.deepEqual(unitLimits(NONE), NONE);
    assert.deepEqual(sliceLimits(NONE, 4), NONE);
  });
});
