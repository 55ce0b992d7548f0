import assert from 'node:assert/strict';
import { type LimitedUnit, limitsInForce } from '../../../src/audit/limits-in-force.ts';
import { examplePlan } from '../../support/plans.ts';

const { limits } = examplePlan({
  limits: {
    memoryMax: 1 << 26,
    io: [{ path: '/srv', read: 4096, write: 'infinity', readIops: 'infinity', writeIops: 'infinity' }],
  },
});

/** A unit that is as declared. */
const UNIT: LimitedUnit = {
  unit: 'plugin-hello-a-g1.service',
  limits,
  administrator: { unit: 'plugin@hello.service', limits: [] },
  properties: {
    MemoryMax: 1 << 26,
    MemoryHigh: 1,
    MemorySwapMax: 0,
    CPUQuotaPerSecUSec: 'infinity',
    CPUWeight: 100,
    TasksMax: 50,
    IOWeight: 100,
    IOReadBandwidthMax: [['/srv', 4096]],
  },
  files: {
    'memory.max': String(1 << 26),
    'memory.high': '0',
    'memory.swap.max': '0',
    'cpu.max': 'max 100000',
    'cpu.weight': '100',
    'pids.max': '50',
    'io.weight': 'default 100',
    'io.max': '8:0 rbps=4096 wbps=max riops=max wiops=max',
  },
  disks: new Map([['/srv', '8:0']]),
};

function of(limit: string, changes: Partial<LimitedUnit> = {}) {
  const found = limitsInForce({ ...UNIT, ...changes }).find((each) => each.limit === limit);
  assert.ok(found !== undefined);
  return found;
}

describe('limits in force', () => {
  it('are told beside what was declared and asked for', () => {
    const memory = { limit: 'memory', declared: 1 << 26, asked: 1 << 26, inForce: 1 << 26, from: 'declaration' };
    assert.deepEqual(of('memory'), memory);
    assert.deepEqual(of('cpu'), {
      limit: 'cpu',
      declared: 'infinity',
      asked: 'infinity',
      inForce: 'infinity',
      from: 'declaration',
    });
    assert.deepEqual(of('io /srv read'), {
      limit: 'io /srv read',
      declared: 4096,
      asked: 4096,
      inForce: 4096,
      from: 'declaration',
    });
    // The kernel counts whole pages.
    assert.equal(of('memory-high').inForce, 0);
  });

  it('that somebody changed on the unit are told from there', () => {
    const properties = { ...UNIT.properties, TasksMax: 99 };
    assert.deepEqual(of('tasks', { properties }), {
      limit: 'tasks',
      declared: 50,
      asked: 99,
      inForce: 50,
      from: UNIT.unit,
    });
  });

  it('that an administrator gave to the plugin are told from the anchor, also when they are the declared ones', () => {
    const administrator = {
      unit: 'plugin@hello.service',
      limits: [
        ['TasksMax', 't', 77],
        ['CPUWeight', 't', 100],
      ],
    } as const;
    const properties = { ...UNIT.properties, TasksMax: 77 };
    assert.equal(of('tasks', { properties, administrator }).from, 'plugin@hello.service');
    assert.equal(of('cpu-weight', { properties, administrator }).from, 'plugin@hello.service');
    assert.equal(of('memory', { properties, administrator }).from, 'declaration');
  });

  it('are unknown where nothing enforces them', () => {
    assert.equal(of('memory', { files: {} }).inForce, null);
    assert.equal(of('io /srv read', { disks: new Map() }).inForce, null);
  });

  it('by disk that systemd was not asked for are infinite', () => {
    assert.equal(of('io /srv read', { properties: { ...UNIT.properties, IOReadBandwidthMax: [] } }).asked, 'infinity');
  });
});
