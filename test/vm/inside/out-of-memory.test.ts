import assert from 'node:assert/strict';
import type { Manager } from '../../../src/control/manager.ts';
import { connectManager } from '../../../src/control/manager-client.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { request } from '../../failures/client.ts';
import { describeDistribution, distribution } from '../../failures/distribution.ts';
import { saveResults } from '../../failures/results.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import { installHostile, run, uninstall, until } from '../../support/system.ts';

/** Ample for an emulated machine: only a hang takes longer. */
const PATIENCE_MS = 300_000;
const NAME = 'starving';
const PORT = 9160;
const TIMES = 8;
/** From the end of the killed one's connections to full capacity (ms): longer is a hang; `recover --vm` measures the rest. */
const MOST_MS = 60_000;

forEachIsolation('after an OOM kill', function (isolation) {
  this.timeout(PATIENCE_MS);

  let manager: Manager;

  before(async () => {
    manager = await connectManager(systemClock, process.env, false);
  });
  after(async () => {
    await uninstall(NAME);
    manager.release();
  });

  /** Those that serve, when the pool has its size and so many stand by. */
  async function whole(standbys = 0): Promise<string[]> {
    let units: string[] = [];
    const isWhole = async () => {
      const { sandboxes } = await manager.status(NAME);
      const ready = sandboxes.filter(({ state, payloadPid }) => state === 'ready' && payloadPid !== null);
      units = ready.filter(({ standby }) => !standby).map(({ unit }) => unit);
      return units.length === 2 && ready.length >= 2 + standbys;
    };
    await until('the pool is whole', isWhole, PATIENCE_MS / 2);
    return units;
  }

  for (const standby of [0, 1])
    it(`the pool has its full capacity again, each time, with ${standby} standby`, async () => {
      installHostile(NAME, 'misbehave', [
        'template: native',
        'version: v1',
        `listen: [{ tcp: 127.0.0.1:${PORT} }]`,
        `pool: { size: 2, standby: ${standby} }`,
        'limits: { memory: 48M, memory-high: infinity }',
        'recovery: { budget: { restarts: 100, within: 1h }, backoff: { initial: 10ms, max: 10ms } }',
      ]);
      await run('systemctl', 'start', `plugin@${NAME}`);
      const times: number[] = [];
      for (let n = 0; n < TIMES; n++) {
        const before = await whole(standby);
        const { body, at } = await request({ port: PORT, path: '/do/eat' });
        assert.equal(body, undefined, 'it was killed for it');
        await until('another one is there', async () => (await whole()).join() !== before.join(), PATIENCE_MS / 2);
        times.push(performance.now() - at);
      }
      await uninstall(NAME);
      const figure = `OOM kill, ${standby} standby: full capacity`;
      saveResults(`out-of-memory-${isolation}-${standby}`, [{ figure, isolation, times }]);
      const found = distribution(times);
      console.log(`      full capacity after the kill: ${describeDistribution(found)}`);
      assert.ok(found.most <= MOST_MS, describeDistribution(found));
    });
});
