import assert from 'node:assert/strict';
import { type LimitCounters, NOTHING_COUNTED } from '../../../src/base/limit-counters.ts';
import { statusLine } from '../../../src/decide/status-line.ts';
import { examplePlan } from '../../support/plans.ts';
import { SimulatedMachine } from './simulated-machine.ts';

const UNIT = 'plugin-hello-a-g1.service';
const KILLED = { how: 'killed', status: 9 } as const;

function started(): SimulatedMachine {
  const limits = { memoryMax: 64 << 20, memoryHigh: 48 << 20, cpuQuotaPerSecUsec: 500_000 };
  return new SimulatedMachine(examplePlan({ size: 1, limits })).started();
}

function count(machine: SimulatedMachine, counters: Partial<LimitCounters>): void {
  machine.observe({ kind: 'counted', unit: UNIT, counters: { ...NOTHING_COUNTED, ...counters } });
}

/** What was noted by the last observation. */
function notes(machine: SimulatedMachine): [what: string, text: string, limit: string | undefined][] {
  return machine.orders.flatMap((order) =>
    order.kind === 'note' ? [[order.what, order.text, order.limit] as [string, string, string | undefined]] : [],
  );
}

describe('a limit that is reached', () => {
  const cases: [counters: Partial<LimitCounters>, limit: string, text: string][] = [
    [{ forksRefused: 181 }, 'tasks', 'tasks 50 (181 forks refused)'],
    [{ forksRefused: 1 }, 'tasks', 'tasks 50 (1 fork refused)'],
    [{ high: 575 }, 'memory-high', 'memory-high 48M (slowed down 575 times)'],
    [{ max: 3 }, 'memory', 'memory 64M (reached 3 times)'],
    [{ max: 3, oom: 1, oomKills: 1 }, 'memory', 'memory 64M (reached 3 times, 1 process killed)'],
    [{ throttled: 202, periods: 224 }, 'cpu', 'cpu 50% (throttled in 202 of 224 periods)'],
    [{ files: 1020 }, 'files', 'files 1024 (1020 open in one process)'],
    [{ full: ['/tmp'] }, 'tmp', 'tmp 64M (/tmp full)'],
  ];
  for (const [counters, limit, text] of cases) {
    it(`is noted: ${text}`, () => {
      const machine = started();
      count(machine, counters);
      assert.deepEqual(notes(machine), [['limit', `limit reached: ${text}`, limit]]);
      assert.equal(machine.state.sandboxes.get(UNIT)?.reached.get(limit as 'tasks')?.text, text);
    });
  }

  it('for a moment only is in the status, and no note, when it is the quota of CPU', () => {
    const machine = started();
    for (const counters of [
      { throttled: 2, periods: 3 },
      { throttled: 7, periods: 100 },
    ]) {
      count(machine, counters);
      assert.deepEqual(notes(machine), []);
    }
    assert.equal(
      machine.state.sandboxes.get(UNIT)?.reached.get('cpu')?.text,
      'cpu 50% (throttled in 7 of 100 periods)',
    );
    count(machine, { throttled: 17, periods: 110 });
    assert.equal(notes(machine).length, 1);
  });

  it('is noted for the directory that lasts, apart from temporary ones', () => {
    const plan = examplePlan({ size: 1 });
    const declaration = { ...plan.declaration, state: { path: '/data', quota: 1 << 30 } };
    const machine = new SimulatedMachine({ ...plan, declaration }).started();
    count(machine, { full: ['/tmp', '/data'] });
    assert.deepEqual(notes(machine), [
      ['limit', 'limit reached: tmp 64M (/tmp full)', 'tmp'],
      ['limit', 'limit reached: state 1G (/data full)', 'state'],
    ]);
    count(machine, { full: ['/data'] });
    assert.deepEqual(notes(machine), []);
  });

  it('is noted for messages that journald dropped, which are summed up', () => {
    const machine = started();
    machine.observe({ kind: 'messages-dropped', unit: UNIT, count: 5 });
    assert.deepEqual(notes(machine), [['limit', 'limit reached: log 2000 in 10s (5 messages dropped)', 'log']]);
    machine.observe({ kind: 'messages-dropped', unit: UNIT, count: 7 });
    assert.equal(machine.state.sandboxes.get(UNIT)?.reached.get('log')?.count, 12);
  });

  it('again and again is noted ever more seldom, and counted all the same', () => {
    const machine = started();
    let noted = 0;
    const hours = 10;
    for (let n = 1; n <= hours * 1800; n++) {
      machine.pass(2000);
      count(machine, { forksRefused: n });
      noted += notes(machine).length;
    }
    // After 1, 2, 4 ... 32 minutes, then once an hour.
    assert.ok(noted >= hours && noted <= hours + 7, String(noted));
    assert.equal(machine.state.sandboxes.get(UNIT)?.reached.get('tasks')?.count, hours * 1800);
  });

  it('is no news when it was reached before an earlier supervisor, but counts from then on', () => {
    const machine = started();
    const sandbox = machine.state.sandboxes.get(UNIT);
    assert.ok(sandbox !== undefined);
    machine.state = { ...machine.state, sandboxes: new Map([[UNIT, { ...sandbox, counters: undefined }]]) };
    count(machine, { forksRefused: 9 });
    assert.deepEqual(notes(machine), []);
    count(machine, { forksRefused: 10 });
    assert.equal(notes(machine)[0]?.[1], 'limit reached: tasks 50 (10 forks refused)');
  });

  it('of a sandbox that is not known is ignored', () => {
    const machine = started();
    machine.observe({ kind: 'counted', unit: 'plugin-hello-a-g99.service', counters: NOTHING_COUNTED });
    assert.deepEqual(notes(machine), []);
  });
});

describe('a payload that was killed by SIGKILL', () => {
  /** Its death after these counters and this time, as the plugin's status tells it. */
  function death(
    counters: Partial<LimitCounters>,
    exit: { how: 'killed' | 'unknown' | 'exited'; status: number } = KILLED,
    ms = 0,
  ): string {
    const machine = started();
    if (Object.keys(counters).length > 0) count(machine, counters);
    machine.pass(ms);
    machine.observe({ kind: 'exited', unit: UNIT, exit });
    return statusLine(machine.state);
  }

  it('at its own limit is told from one at the limit of the slice, of the host, and from any other', () => {
    assert.match(death({ oom: 1, oomKills: 1 }), /BH304 .*: out of memory: own limit 64M$/);
    assert.match(death({ oomKills: 1, sliceOom: 1, sliceOomKills: 1 }), /out of memory: limit of the plugin's slice$/);
    assert.match(
      death({ oomKills: 1, sliceOomKills: 1, pluginsOom: 1 }),
      /out of memory: limit of all plugins together$/,
    );
    assert.match(death({ oomKills: 1, sliceOomKills: 1 }), /out of memory: of the host, not of a limit of the plugin$/);
    assert.match(death({ oom: 1, max: 9 }), /killed by SIGKILL$/);
    assert.match(death({}), /killed by SIGKILL$/);
  });

  it('with init is out of memory, too; one that ended by itself, or long after, is not', () => {
    assert.match(death({ oom: 1, oomKills: 1 }, { how: 'unknown', status: 0 }), /out of memory: own limit 64M$/);
    assert.match(death({ oom: 1, oomKills: 1 }, { how: 'exited', status: 1 }), /exit status 1$/);
    assert.match(death({ oom: 1, oomKills: 1 }, KILLED, 60_000), /killed by SIGKILL$/);
  });

  it('is known by what ran out a moment before: the kernel counts that first, and the kill when it is done', () => {
    const later = (ms: number): string => {
      const machine = started();
      count(machine, { sliceOom: 1 });
      machine.pass(ms);
      count(machine, { sliceOom: 1, oomKills: 1, sliceOomKills: 1 });
      machine.observe({ kind: 'exited', unit: UNIT, exit: KILLED });
      return statusLine(machine.state);
    };
    assert.match(later(2000), /out of memory: limit of the plugin's slice$/);
    assert.match(later(60_000), /out of memory: of the host, not of a limit of the plugin$/);
  });

  it('for memory is in the journal under that limit', () => {
    const machine = started();
    count(machine, { oom: 1, oomKills: 1 });
    machine.observe({ kind: 'exited', unit: UNIT, exit: KILLED });
    assert.deepEqual(notes(machine)[0], ['died', 'out of memory: own limit 64M', 'memory']);
  });
});
