import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { SandboxStatus } from '../../src/control/api.ts';
import type { Manager } from '../../src/control/manager.ts';
import { connectManager } from '../../src/control/manager-client.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { forEachIsolation } from '../support/isolation.ts';
import { HttpLoad } from '../support/load.ts';
import { installHostile, systemctl, uninstall, until } from '../support/system.ts';
import { request } from './client.ts';
import { describeDistribution, distribution } from './distribution.ts';
import { unexcusedByKills } from './losses.ts';
import { saveResults } from './results.ts';

const NAME = 'spared';
const PORT = 9290;
/** `BULKHEAD_KILLS=20`: fewer, while it is worked on. */
const KILLS = Number(process.env.BULKHEAD_KILLS ?? 200);
const CONNECTIONS = 4;
/** The bound is 50 ms on a machine of its own; this one is shared with whatever else is tested on it. */
const MOST_P99_MS = 250;

/** Returns when the process runs no more; looks without a pause, since this is part of what is measured. */
function untilDead(pid: number): void {
  const end = performance.now() + 1000;
  while (performance.now() < end) {
    try {
      if (/^State:\t[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))) return;
    } catch {
      return; // Gone.
    }
  }
  throw new Error(`process ${pid} lives after SIGKILL`);
}

forEachIsolation('with one standby, kill -9', function (isolation) {
  this.timeout(240_000);

  let manager: Manager;
  let load: HttpLoad | undefined;

  before(async () => {
    manager = await connectManager(systemClock, process.env, false);
  });
  after(async () => {
    await load?.stop();
    await uninstall(NAME);
    manager.release();
  });

  /** The one that serves, when there is also one that is ready to. */
  async function whole(): Promise<SandboxStatus> {
    let one: SandboxStatus | undefined;
    const isWhole = async () => {
      const { sandboxes } = await manager.status(NAME);
      const ready = sandboxes.filter(({ state, payloadPid }) => state === 'ready' && payloadPid !== null);
      [one] = ready.filter(({ standby }) => !standby);
      return ready.length === 2 && one !== undefined && sandboxes.length === 2;
    };
    await until('one serves, and one stands by', isWhole);
    assert.ok(one);
    return one;
  }

  it(`${KILLS} times under load: costs what was in its hands, and the next connection is accepted at once`, async () => {
    installHostile(NAME, 'misbehave', [
      'template: native',
      'version: v1',
      `listen: [{ tcp: 127.0.0.1:${PORT} }]`,
      'pool: { size: 1, standby: 1 }',
      'recovery: { budget: { restarts: 1000, within: 10min }, backoff: { initial: 10ms, max: 10ms, jitter: 0% } }',
    ]);
    await systemctl('start', `plugin@${NAME}`);
    load = new HttpLoad({
      target: { host: '127.0.0.1', port: PORT },
      connections: CONNECTIONS,
      keepAlive: false,
      thinkMs: 5,
    });
    const kills: number[] = [];
    const gaps: number[] = [];
    const wholes: number[] = [];
    for (let n = 0; n < KILLS; n++) {
      const victim = await whole();
      const killed = performance.now();
      kills.push(killed);
      process.kill(victim.payloadPid ?? 0, 'SIGKILL');
      // Until it is dead it can still take a connection, on the other processor, which is then in its hands.
      untilDead(victim.payloadPid ?? 0);
      const answer = await request({ port: PORT, path: '/' });
      gaps.push(answer.at - killed);
      assert.ok(answer.well, 'a connection that is made after the death is answered');
      assert.notEqual(answer.body, victim.machine);
      await whole();
      wholes.push(performance.now() - killed);
    }
    const { ok, lost } = await load.stop();
    const gap = distribution(gaps);
    console.log(`      next accepted connection: ${describeDistribution(gap)}`);
    console.log(`      pool whole again: ${describeDistribution(distribution(wholes))}`);
    console.log(`      ${ok} requests answered, ${lost.length} lost in ${KILLS} deaths`);
    saveResults(`standby-${isolation}`, [
      { figure: 'kill -9 with a standby: next connection accepted', isolation, times: gaps },
      { figure: 'kill -9 with a standby: whole, with the next standby', isolation, times: wholes },
    ]);
    assert.deepEqual(unexcusedByKills(lost, kills), []);
    assert.ok(lost.length <= KILLS * CONNECTIONS);
    assert.ok(gap.p99 <= MOST_P99_MS, describeDistribution(gap));
  });
});
