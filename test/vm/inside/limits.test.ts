import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { installExample, must, run, systemctl, uninstall, until, untilWhole } from '../../support/system.ts';

/** Ample for an emulated machine: only a hang takes longer. */
const PATIENCE_MS = 300_000;

function cgroupFile(cgroup: string, file: string): string {
  return readFileSync(`/sys/fs/cgroup${cgroup}/${file}`, 'utf8').trim();
}

describe('limits in the cgroup', function () {
  this.timeout(PATIENCE_MS);

  it("of a sandbox are the declared ones, with room for nspawn and init; the plugin's slice has the totals", async () => {
    installExample('limited', 'python', [
      'template: python',
      'version: v1',
      'listen: [{ tcp: 127.0.0.1:9131 }]',
      'pool: { size: 2 }',
      'limits: { memory: 256M, memory-high: 128M, tasks: 20, cpu: 50% }',
    ]);
    try {
      await systemctl('start', 'plugin@limited');
      assert.match(await must('curl', '-sS', 'http://127.0.0.1:9131/'), /hello/);
      const [sandbox] = await untilWhole('limited', 2);
      const cgroup = sandbox?.cgroup ?? '';
      const overhead = 4 << 20;
      assert.equal(cgroupFile(cgroup, 'memory.max'), String((256 << 20) + overhead));
      assert.equal(cgroupFile(cgroup, 'memory.high'), String((128 << 20) + overhead));
      assert.equal(cgroupFile(cgroup, 'memory.swap.max'), '0');
      assert.equal(cgroupFile(cgroup, 'pids.max'), '23');
      assert.match(cgroupFile(cgroup, 'cpu.max'), /^50000 100000$/);
      assert.ok((sandbox?.memoryBytes ?? 0) > 1 << 20);
      assert.ok((sandbox?.tasks ?? 0) >= 3);
      const slice = cgroup.slice(0, cgroup.lastIndexOf('/'));
      assert.ok(Number(cgroupFile(slice, 'memory.max')) >= (2 * 256) << 20);
    } finally {
      await uninstall('limited');
    }
  });

  it("set for the anchor by systemctl set-property reach the plugin's slice", async () => {
    installExample('adjusted', 'python', ['template: python', 'version: v1', 'listen: [{ tcp: 127.0.0.1:9132 }]']);
    try {
      await systemctl('start', 'plugin@adjusted');
      const [sandbox] = await untilWhole('adjusted', 1);
      const cgroup = sandbox?.cgroup ?? '';
      const slice = cgroup.slice(0, cgroup.lastIndexOf('/'));
      await systemctl('set-property', '--runtime', 'plugin@adjusted', 'MemoryMax=300M', 'TasksMax=33');
      await until('the slice has the new limit', () => cgroupFile(slice, 'memory.max') === String(300 << 20));
      assert.equal(cgroupFile(slice, 'pids.max'), '33');
    } finally {
      await uninstall('adjusted');
    }
  });

  it('hold: a payload that takes more memory than declared is killed, and replaced', async () => {
    installExample('hungry', 'python', []);
    const hog = 'x = bytearray(200 << 20)\nimport time\ntime.sleep(600)\n';
    await must('sh', '-c', `printf '${hog.replaceAll('\n', '\\n')}' > /opt/plugin/hungry/v1/main.py`);
    await must(
      'sh',
      '-c',
      'printf "template: python\\nversion: v1\\nlimits: { memory: 64M, memory-high: infinity }\\nrecovery: { budget: { restarts: 1, within: 10min } }\\n" > /etc/bulkhead/plugins/hungry.yaml',
    );
    try {
      await run('systemctl', 'start', 'plugin@hungry');
      await until(
        'the plugin failed',
        async () => (await run('systemctl', 'is-failed', 'plugin@hungry')).status === 0,
        PATIENCE_MS / 2,
      );
      assert.match((await run('systemctl', 'status', 'plugin@hungry')).stdout, /out of memory: own limit 64M/);
    } finally {
      await uninstall('hungry');
    }
  });
});
