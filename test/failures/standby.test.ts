import assert from 'node:assert/strict';
import type { SandboxStatus } from '../../src/control/api.ts';
import type { Manager } from '../../src/control/manager.ts';
import { connectManager } from '../../src/control/manager-client.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { forEachIsolation } from '../support/isolation.ts';
import { HttpLoad } from '../support/load.ts';
import { installHostile, systemctl, uninstall, until } from '../support/system.ts';
import { request } from './client.ts';
import { describeDistribution, distribution } from './distribution.ts';
import { type Kill, killNow, unexcusedByKills } from './losses.ts';
import { saveResults } from './results.ts';

const NAME = 'spared';
const PORT = 9290;
/** `BULKHEAD_KILLS=20`: fewer, while it is worked on. */
const KILLS = Number(process.env.BULKHEAD_KILLS ?? 200);
const CONNECTIONS = 4;
/** Longer is a hang (ms); how soon it mostly is, is measured on a machine that does nothing else, by `recover`. */
const HANG_MS = 60_000;

forEachIsolation('with one standby, kill -9', function (isolation) {
  this.timeout(600_000);

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

  /** The one that serves, and the one that stands by, when both are ready to. */
  async function whole(): Promise<{ readonly serving: SandboxStatus; readonly standby: SandboxStatus }> {
    let [serving, standby]: (SandboxStatus | undefined)[] = [];
    const isWhole = async () => {
      const { sandboxes } = await manager.status(NAME);
      const ready = sandboxes.filter(({ state, payloadPid }) => state === 'ready' && payloadPid !== null);
      serving = ready.find((one) => !one.standby);
      standby = ready.find((one) => one.standby);
      return sandboxes.length === 2 && serving !== undefined && standby !== undefined;
    };
    await until('one serves, and one stands by', isWhole);
    assert.ok(serving && standby);
    return { serving, standby };
  }

  it(`${KILLS} times under load: costs what was in its hands, and the spare takes the next connection`, async () => {
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
    const kills: Kill[] = [];
    const gaps: number[] = [];
    const wholes: number[] = [];
    for (let n = 0; n < KILLS; n++) {
      const { serving, standby } = await whole();
      const kill = killNow(serving.payloadPid ?? 0);
      kills.push(kill);
      const answer = await request({ port: PORT, path: '/' });
      gaps.push(answer.at - kill.at);
      assert.ok(answer.well, 'a connection that is made after the death is answered');
      assert.equal(answer.body, standby.machine, 'by the one that stood by, not by one that had to start');
      await whole();
      wholes.push(performance.now() - kill.at);
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
    assert.ok(gap.most <= HANG_MS, describeDistribution(gap));
  });
});
