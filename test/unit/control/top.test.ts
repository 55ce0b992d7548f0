import assert from 'node:assert/strict';
import type { LoadReport, SandboxStanding } from '../../../src/control/api.ts';
import { resilience } from '../../../src/control/resilience.ts';
import { runCommandLine } from '../../../src/control/run.ts';
import { VERBS } from '../../../src/control/verb-table.ts';
import { FakeManager } from './support/fake-manager.ts';
import { FakeWorld } from './support/fake-world.ts';

const VITALS = {
  agoMs: 300,
  cpuPercent: 12.4,
  cpuMs: 1000,
  residentBytes: 8 << 20,
  processes: 1,
  threads: 3,
  descriptors: 9,
  frozen: false,
  requests: { done: 100, failed: 1, inFlight: 2, oldestMs: 5 },
};
const SANDBOX: SandboxStanding = {
  unit: 'plugin-hello-a-g1.service',
  state: 'ready',
  standby: false,
  seat: 0,
  gate: 'open',
  score: 70,
  illness: null,
  vitals: VITALS,
};

function load(at: number, done: number, ...others: SandboxStanding[]): LoadReport {
  const vitals = { ...VITALS, requests: { ...VITALS.requests, done } };
  return {
    at,
    plugins: [{ name: 'hello', state: 'running', incidents: 3, sandboxes: [{ ...SANDBOX, vitals }, ...others] }],
  };
}

describe('bulkheadctl top', () => {
  async function top(line: string, loads: LoadReport[], prepare: (world: FakeWorld) => void = () => {}) {
    const manager = new FakeManager();
    manager.loads = loads;
    const world = new FakeWorld(manager);
    prepare(world);
    const ran = runCommandLine(line.split(' '), VERBS, world);
    for (let turn = 0; turn < 20; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      world.clock.advance(1000);
      if (turn === 10) world.interrupt();
    }
    return { exit: await ran, out: world.out.text, err: world.err.text, timers: world.clock.timers };
  }

  it('shows a line for each sandbox, the busiest first, with rates between two looks', async () => {
    const idle = { ...SANDBOX, unit: 'plugin-hello-a-g2.scope', standby: true, gate: 'held' as const, score: null };
    const quiet = { ...idle, vitals: { ...VITALS, cpuPercent: 0, requests: null } };
    const { exit, out } = await top('top --once', [load(1000, 100), load(3000, 150, quiet)]);
    assert.equal(exit, 0);
    const [titles, first, second] = out.split('\n').map((line) => line.trim().split(/ {2,}/));
    assert.deepEqual(titles?.slice(0, 4), ['SANDBOX', 'STATE', 'CPU', 'RSS']);
    assert.deepEqual(first, ['hello-a-g1', 'ready', '12%', '8M', '3', '9', '2', '25', '0.0', '70', 'open', '3']);
    assert.deepEqual(second, ['hello-a-g2', 'standby', '0%', '8M', '3', '9', '-', '-', '-', '-', 'held', '3']);
  });

  it('names what is wrong with one that lives', async () => {
    const ill = { class: 'hang' as const, kind: 'blocked', text: 'x' };
    const report = { at: 1, plugins: [{ ...load(1, 1).plugins[0], sandboxes: [{ ...SANDBOX, illness: ill }] }] };
    const { out } = await top('top --once', [report as LoadReport, report as LoadReport]);
    assert.match(out, /^hello-a-g1 +hang /m);
  });

  it('redraws on a terminal until it is interrupted, and no more than there is room for', async () => {
    const { exit, out, timers } = await top('top --every=1', [load(0, 1), load(1000, 2), load(2000, 3)], (world) => {
      world.out.interactive = true;
      world.out.rows = 2;
    });
    assert.equal(exit, 0);
    assert.ok(out.split('\u001b[H').length > 2, JSON.stringify(out));
    assert.doesNotMatch(out, /hello-a-g1/);
    assert.ok(timers <= 1, `${timers} timers`);
  });

  it('is JSON for scripts, and says so when nothing runs', async () => {
    assert.equal(JSON.parse((await top('top --once --json', [load(5, 1)])).out).at, 5);
    assert.equal((await top('top', [])).out, 'No sandbox runs.\n');
    assert.equal((await top('top --every=0', [])).exit, 2);
  });
});

describe('the resilience of a plugin', () => {
  const nothing = { over: 0, alone: 0 };

  it('is what can be seen of it, as long as nothing has failed', () => {
    const found = resilience(nothing, {}, []);
    assert.deepEqual(found.sees, ['exit reports']);
    assert.equal(found.score, 17);
  });

  it('is also the share of failures that took nobody', () => {
    const seen = { vitals: VITALS, memoryBytes: 1 };
    const found = resilience({ over: 4, alone: 3 }, {}, [seen]);
    assert.deepEqual(found.blindTo, ['readiness probe', 'liveness probe']);
    assert.equal(found.score, Math.round((100 * (4 / 6 + 3 / 4)) / 2));
  });
});
