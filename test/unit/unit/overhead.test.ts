import assert from 'node:assert/strict';
import type { PlannedLimits } from '../../../src/plan/plan.ts';
import { OVERHEAD, roomierLimits, sliceLimits, unitLimits } from '../../../src/unit/overhead.ts';

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

    it('gives the slice room for the larger of two sides, whatever is larger of it', () => {
      const small = sliceLimits(LIMITS, 1, isolation, HELPERS);
      const large = sliceLimits({ ...LIMITS, tasksMax: 1 }, 3, isolation, HELPERS);
      const both = roomierLimits(small, large);
      assert.equal(both.memoryMax, large.memoryMax);
      assert.equal(both.tasksMax, Math.max(Number(small.tasksMax), Number(large.tasksMax)));
      assert.deepEqual(both.io, large.io);
      assert.deepEqual(roomierLimits(large, { ...small, io: [], memoryMax: 'infinity' }).io, []);
      assert.equal(roomierLimits({ ...small, memoryMax: 'infinity' }, large).memoryMax, 'infinity');
    });

    it('keeps no limit no limit', () => {
      assert.deepEqual(unitLimits(NONE, isolation, HELPERS), NONE);
      assert.deepEqual(sliceLimits(NONE, 4, isolation, HELPERS), NONE);
    });
  });
}
