import assert from 'node:assert/strict';
import type { PlannedLimits } from '../../../src/plan/plan.ts';
import { OVERHEAD, sliceLimits, unitLimits } from '../../../src/unit/overhead.ts';

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
const HELPERS = { tasks: 2, memory: 100 };
const NONE: PlannedLimits = {
  ...LIMITS,
  memoryMax: 'infinity',
  memoryHigh: 'infinity',
  swapMax: 'infinity',
  cpuQuotaPerSecUsec: 'infinity',
  tasksMax: 'infinity',
  io: [],
};

for (const isolation of ['nspawn', 'scope'] as const) {
  const { tasks, memory } = OVERHEAD[isolation];

  describe(`overhead of ${isolation}`, () => {
    it('leaves the payload what was declared', () => {
      const unit = unitLimits(LIMITS, isolation, HELPERS);
      assert.equal(unit.memoryMax, 1000 + memory + HELPERS.memory);
      assert.equal(unit.memoryHigh, 750 + memory + HELPERS.memory);
      assert.equal(unit.tasksMax, 8 + tasks + HELPERS.tasks);
      assert.equal(unit.swapMax, 10);
    });

    it('gives the slice room for two pools', () => {
      const slice = sliceLimits(LIMITS, 3, isolation, HELPERS);
      assert.equal(slice.memoryMax, 6 * (1000 + memory + HELPERS.memory));
      assert.equal(slice.tasksMax, 6 * (8 + tasks + HELPERS.tasks));
      assert.equal(slice.cpuQuotaPerSecUsec, 3_000_000);
      assert.equal(slice.memoryHigh, 'infinity');
      assert.deepEqual(slice.io, [
        { path: '/var/lib', read: 6000, write: 'infinity', readIops: 'infinity', writeIops: 300 },
      ]);
    });

    it('keeps no limit no limit', () => {
      assert.deepEqual(unitLimits(NONE, isolation, HELPERS), NONE);
      assert.deepEqual(sliceLimits(NONE, 4, isolation, HELPERS), NONE);
    });
  });
}
