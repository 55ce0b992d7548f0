import assert from 'node:assert/strict';
import { HttpLoad, pause } from '../../support/load.ts';
import { installExample, killSupervisor, must, systemctl, uninstall, until, untilWhole } from '../../support/system.ts';

function declaration(...more: readonly string[]): string[] {
  return ['template: python', 'version: v1', 'listen: [{ tcp: 127.0.0.1:9471 }]', 'pool: { size: 1 }', ...more];
}

/** Number of the sandbox that serves. */
async function generation(): Promise<number> {
  const [sandbox] = await untilWhole('nightly', 1);
  return Number(/-g(\d+)\./.exec(sandbox?.unit ?? '')?.[1]);
}

describe('schedules', function () {
  this.timeout(120_000);

  afterEach(() => uninstall('nightly'));

  it('recycle a plugin without losing a request, also under a new supervisor, and no more once they are taken out', async () => {
    installExample('nightly', 'python', declaration("schedule: [{ recycle: '*/15 * * * * *' }]"));
    await systemctl('start', 'plugin@nightly');
    const first = await generation();
    const load = new HttpLoad({ target: { host: '127.0.0.1', port: 9471 }, connections: 4, keepAlive: false });
    await until('it is recycled', async () => (await generation()) > first, 40_000);
    await killSupervisor();
    const second = await generation();
    await until('the next supervisor recycles it, too', async () => (await generation()) > second, 40_000);
    const { lost, ok } = await load.stop();
    assert.deepEqual(lost, []);
    assert.ok(ok > 100, `${ok} requests`);
    const told = await must('journalctl', '--unit=bulkheadd', '--output=cat', '--no-pager', 'BULKHEAD_PLUGIN=nightly');
    assert.match(told, /the schedule '\*\/15 \* \* \* \* \*'/);
    installExample('nightly', 'python', declaration());
    await systemctl('reload', 'plugin@nightly');
    await pause(2000);
    const last = await generation();
    await pause(17_000);
    assert.equal(await generation(), last);
  });
});
