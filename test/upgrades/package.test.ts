import assert from 'node:assert/strict';
import { describeLosses, ExactLoad } from '../support/exact-load.ts';
import {
  declare,
  must,
  run,
  status,
  supervisorPid,
  systemctl,
  uninstall,
  until,
  untilWhole,
} from '../support/system.ts';
import { stepOnDisk } from './steps.ts';
import { placeProgram } from './versions.ts';

const TREE = process.env.BULKHEAD_TREE ?? '/opt/bulkhead-test';
const NAME = 'carried-over';
const PORT = 9540;
const SIZE = 2;

describe('an upgrade of bulkhead itself in the canary of a plugin', function () {
  this.timeout(180_000);
  let load: ExactLoad | undefined;

  after(async () => {
    load?.release();
    await uninstall(NAME);
    // Whatever was installed, the next test finds what it was made for.
    await must('dpkg', '-i', `${TREE}/packages/this.deb`);
  });

  it('is finished, and so is the canary; no request is lost', async () => {
    for (const version of ['v1', 'v2']) placeProgram(NAME, version, 'good');
    declare(NAME, [
      'template: python',
      'version: v1',
      `listen: [{ tcp: 127.0.0.1:${PORT} }]`,
      `pool: { size: ${SIZE} }`,
      'upgrade: { canary: [20%], bake: 8s, drain: 10s, judge: { latency: infinity, memory: infinity } }',
    ]);
    await systemctl('start', `plugin@${NAME}`);
    await untilWhole(NAME, SIZE);
    load = new ExactLoad({ to: `127.0.0.1:${PORT}`, connections: 6, keepAlive: true, each: 20, thinkMs: [5, 30] });
    for (const [which, to] of [
      ['newer', 'v2'],
      ['this', 'v1'],
    ] as const) {
      await load.more(50);
      const before = await supervisorPid();
      const { id } = JSON.parse(await must('bulkheadctl', 'upgrade', NAME, to, '--no-wait', '--json'));
      await until('the canary', () => stepOnDisk(NAME) === 'canary, 20 %');
      await must('dpkg', '-i', `${TREE}/packages/${which}.deb`);
      assert.notEqual(await supervisorPid(), before);
      const isOver = async () => {
        if ((await run('bulkheadctl', 'list')).status !== 0) return false;
        const { upgrade, lastUpgrade } = await status(NAME);
        return upgrade === null && lastUpgrade?.id === id;
      };
      await until(`${id} is over`, isOver, 60_000);
      const { lastUpgrade, version } = await status(NAME);
      assert.deepEqual({ outcome: lastUpgrade?.outcome, version }, { outcome: 'promoted', version: to });
    }
    const account = await load.stop();
    assert.equal(account.lost, 0, describeLosses(account));
  });
});
