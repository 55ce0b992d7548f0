import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { declare, installExample, must, run, systemctl, uninstall, until, untilWhole } from '../../support/system.ts';

/** Ample for an emulated machine: only a hang takes longer. */
const PATIENCE_MS = 300_000;

/** What a machine as slow as this may need until it answers. */
const ANSWER_MS = 120_000;

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
      const [sandbox] = await untilWhole('limited', 2, ANSWER_MS);
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
      const [sandbox] = await untilWhole('adjusted', 1, ANSWER_MS);
      const cgroup = sandbox?.cgroup ?? '';
      const slice = cgroup.slice(0, cgroup.lastIndexOf('/'));
      await systemctl('set-property', '--runtime', 'plugin@adjusted', 'MemoryMax=300M', 'TasksMax=33');
      await until(
        'the slice has the new limit',
        () => cgroupFile(slice, 'memory.max') === String(300 << 20),
        ANSWER_MS,
      );
      assert.equal(cgroupFile(slice, 'pids.max'), '33');
    } finally {
      await uninstall('adjusted');
    }
  });

  it('that change in the declaration change on what runs; what somebody sets on the unit is told, too', async () => {
    const listen = 'listen: [{ tcp: 127.0.0.1:9133 }]';
    const declaration = (limits: string) => ['template: python', 'version: v1', listen, `limits: { ${limits} }`];
    installExample('changing', 'python', declaration('memory: 256M, memory-high: 50%, io: [{ path: /, write: 10M }]'));
    try {
      await systemctl('start', 'plugin@changing');
      const [before] = await untilWhole('changing', 1, ANSWER_MS);
      const cgroup = before?.cgroup ?? '';
      assert.match(cgroupFile(cgroup, 'io.max'), /wbps=10485760/);
      declare('changing', declaration('memory: 300M, memory-high: infinity, tasks: 33, cpu: 30%, io-weight: 77'));
      await systemctl('reload', 'plugin@changing');
      const wanted: Readonly<Record<string, string>> = {
        'memory.max': String(304 << 20),
        'memory.high': 'max',
        'pids.max': '36',
        'cpu.max': '30000 100000',
        'io.weight': 'default 77',
        'io.max': '',
      };
      // systemd writes them one after the other.
      const inForce = () => Object.fromEntries(Object.keys(wanted).map((file) => [file, cgroupFile(cgroup, file)]));
      const isInForce = () => JSON.stringify(inForce()) === JSON.stringify(wanted);
      await until('the limits are in force', isInForce, ANSWER_MS).catch(() => assert.deepEqual(inForce(), wanted));
      const slice = cgroup.slice(0, cgroup.lastIndexOf('/'));
      const total = String(2 * (304 << 20));
      await until('the slice has its total', () => cgroupFile(slice, 'memory.max') === total, ANSWER_MS);
      const unit = before?.unit ?? '';
      await systemctl('set-property', '--runtime', unit, 'TasksMax=55');
      const [after] = await untilWhole('changing', 1, ANSWER_MS);
      assert.equal(after?.payloadPid, before?.payloadPid, 'nothing was started anew');
      const tasks = after?.limits.find(({ limit }) => limit === 'tasks');
      assert.deepEqual(tasks, { limit: 'tasks', declared: 36, asked: 55, inForce: 55, from: unit });
      const memory = after?.limits.find(({ limit }) => limit === 'memory');
      const most = 304 << 20;
      const declared = { limit: 'memory', declared: most, asked: most, inForce: most, from: 'declaration' };
      assert.deepEqual(memory, declared);
      let audit = '';
      const isAudited = async () => {
        const { status, stdout } = await run('bulkheadctl', 'audit', 'changing');
        audit = stdout;
        return status === 1;
      };
      await until('the audit finds something', isAudited, ANSWER_MS);
      assert.match(audit, /pids\.max 55 \(wanted: tasks 36\)/);
    } finally {
      await uninstall('changing');
    }
  });
});

const HUNGRY = 'x = bytearray(200 << 20)\nimport time\ntime.sleep(600)\n';

describe('a payload that is killed because memory ran out', function () {
  this.timeout(PATIENCE_MS);

  afterEach(() => uninstall('hungry'));

  /** Starts the program; why the plugin failed when it was killed twice. */
  async function reasonOf(program: string, limits: string, whenStarted: () => Promise<void>): Promise<string> {
    const recovery = 'recovery: { budget: { restarts: 0, within: 10min } }';
    installExample('hungry', 'python', ['template: python', 'version: v1', `limits: { ${limits} }`, recovery]);
    writeFileSync('/opt/plugin/hungry/v1/main.py', program, { mode: 0o644 });
    await run('systemctl', 'start', 'plugin@hungry');
    await whenStarted();
    await until(
      'the plugin failed',
      async () => (await run('systemctl', 'is-failed', 'plugin@hungry')).status === 0,
      PATIENCE_MS / 2,
    );
    return (await run('systemctl', 'status', '--no-pager', 'plugin@hungry')).stdout;
  }

  const nothing = async (): Promise<void> => {};

  it('at its own limit is told so', async () => {
    const reason = await reasonOf(HUNGRY, 'memory: 64M, memory-high: infinity', nothing);
    assert.match(reason, /out of memory: own limit 64M/);
    const noted = await must('journalctl', '-o', 'cat', 'BULKHEAD_PLUGIN=hungry', 'BULKHEAD_LIMIT=memory');
    assert.match(noted, /limit reached: memory 64M \(.*1 process killed\)/);
  });

  it("at the limit of the plugin's slice is told so", async () => {
    const waits = `import time\ntime.sleep(20)\n${HUNGRY}`;
    const reason = await reasonOf(waits, 'memory: 512M, memory-high: infinity', async () => {
      await untilWhole('hungry', 1, ANSWER_MS);
      await systemctl('set-property', '--runtime', 'plugin@hungry', 'MemoryMax=96M');
    });
    await systemctl('revert', 'plugin@hungry');
    assert.match(reason, /out of memory: limit of the plugin's slice/);
  });

  it('of the host is told so', async () => {
    const reason = await reasonOf('import time\ntime.sleep(600)\n', 'memory: 512M', async () => {
      await untilWhole('hungry', 1, ANSWER_MS);
      // The kernel kills as if memory had run out everywhere: what has the highest score (sysrq.rst, 'f').
      writeFileSync('/proc/sysrq-trigger', 'f');
    });
    assert.match(reason, /out of memory: of the host, not of a limit of the plugin/);
  });

  it('is told from one that somebody killed', async () => {
    const reason = await reasonOf('import time\ntime.sleep(600)\n', 'memory: 512M', async () => {
      const [sandbox] = await untilWhole('hungry', 1, ANSWER_MS);
      process.kill(sandbox?.payloadPid ?? 0, 'SIGKILL');
    });
    assert.match(reason, /killed by SIGKILL/);
  });
});
