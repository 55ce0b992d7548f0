import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { OVERHEAD } from '../../../src/unit/overhead.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import { pause } from '../../support/load.ts';
import {
  declare,
  installExample,
  killSupervisor,
  must,
  pidsOf,
  readySandboxes,
  run,
  status,
  supervisorBack,
  supervisorPid,
  systemctl,
  UPGRADED_AT_ONCE,
  uninstall,
  until,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';

const NAME = 'bounded';
const SLICE = `plugin-${NAME}.slice`;

function declaration(limits: string): string[] {
  const listen = 'listen: [{ tcp: 127.0.0.1:9141 }]';
  return ['template: python', 'version: v1', listen, UPGRADED_AT_ONCE, `limits: { ${limits} }`];
}

async function property(unit: string, name: string): Promise<string> {
  return (await systemctl('show', '-P', name, unit)).trim();
}

/** One row of /proc/PID/limits: soft and hard. */
function processLimit(pid: number, row: string): string {
  const line = readFileSync(`/proc/${pid}/limits`, 'utf8')
    .split('\n')
    .find((candidate) => candidate.startsWith(row));
  return (line ?? '').slice(row.length).trim().split(/\s+/).slice(0, 2).join(' ');
}

forEachIsolation('limits', function (isolation) {
  this.timeout(180_000);

  afterEach(async () => {
    await uninstall(NAME);
    await systemctl('revert', `plugin@${NAME}`);
  });

  const overhead = OVERHEAD[isolation];
  /** MemoryMax= of a unit whose payload may have so many MiB. */
  const memory = (megabytes: number) => (megabytes << 20) + overhead.memory;

  /** Starts the plugin with these limits; its only sandbox. */
  async function started(limits: string): Promise<{ unit: string; pid: number }> {
    installExample(NAME, 'python', declaration(limits));
    await systemctl('start', `plugin@${NAME}`);
    const [sandbox] = await untilWhole(NAME, 1);
    return { unit: sandbox?.unit ?? '', pid: sandbox?.payloadPid ?? 0 };
  }

  async function reload(limits: string): Promise<void> {
    declare(NAME, declaration(limits));
    await systemctl('reload', `plugin@${NAME}`);
  }

  it('of processes are those of the payload; those of journal and disks are properties of its unit', async () => {
    // journald knows the rate of services alone.
    const log = isolation === 'scope' ? '' : 'log: { messages: 77, within: 3s }, ';
    const { unit, pid } = await started(
      `files: 300, memory-lock: 128K, core: 4K, ${log}io-weight: 40, io: [{ path: /opt, read: 5M, write-iops: 9 }]`,
    );
    assert.equal(processLimit(pid, 'Max open files'), '300 300');
    assert.equal(processLimit(pid, 'Max locked memory'), '131072 131072');
    assert.equal(processLimit(pid, 'Max core file size'), '4096 4096');
    if (isolation === 'nspawn') {
      assert.equal(await property(unit, 'LogRateLimitBurst'), '77');
      assert.equal(await property(unit, 'LogRateLimitIntervalUSec'), '3s');
    }
    assert.equal(await property(unit, 'IOWeight'), '40');
    assert.equal(await property(unit, 'IOReadBandwidthMax'), '/opt 5242880');
    assert.equal(await property(unit, 'IOWriteIOPSMax'), '/opt 9');
    assert.equal(await property(SLICE, 'IOReadBandwidthMax'), '/opt 10485760');
  });

  it('by default allow no core dump', async () => {
    const { pid } = await started('tasks: 20');
    assert.equal(processLimit(pid, 'Max core file size'), '0 0');
    assert.equal(processLimit(pid, 'Max locked memory'), '65536 65536');
  });

  it('that are changed in the declaration are set on what runs by a reload, and lists by disk become the new ones', async () => {
    const { unit, pid } = await started(
      'memory: 64M, tasks: 20, io: [{ path: /opt, read: 5M }, { path: /etc, read: 1M }]',
    );
    const plan = async () => (await must('bulkheadctl', 'plan', NAME)).split('\n').map((line) => line.trim());
    declare(NAME, declaration('memory: 96M, tasks: 30, cpu: 80%, io: [{ path: /etc, read: 2M }]'));
    const changes = await plan();
    assert.ok(changes.includes('limits.memory: 64M becomes 96M; a reload sets it on what runs'), changes.join('\n'));
    await systemctl('reload', `plugin@${NAME}`);
    await until('the unit has the new limit', async () => (await property(unit, 'MemoryMax')) === String(memory(96)));
    assert.equal(await property(unit, 'TasksMax'), String(30 + overhead.tasks));
    assert.equal(await property(unit, 'CPUQuotaPerSecUSec'), '800ms');
    assert.equal(await property(unit, 'IOReadBandwidthMax'), '/etc 2097152');
    assert.equal(await property(SLICE, 'MemoryMax'), String(2 * memory(96)));
    assert.equal(await property(SLICE, 'IOReadBandwidthMax'), '/etc 4194304');
    assert.deepEqual(pidsOf(await readySandboxes(NAME)), [pid], 'nothing was started anew');
    assert.match(await must('bulkheadctl', 'events', NAME), /limits set as declared now/);
    const audit = await run('bulkheadctl', 'audit', NAME);
    assert.equal(audit.status, 0, audit.stdout);
    assert.match((await plan()).join('\n'), /difference to what runs\nnone/);
  });

  it('that processes have from their start take a new sandbox', async () => {
    const { unit } = await started('files: 300');
    declare(NAME, declaration('files: 400'));
    const plan = await must('bulkheadctl', 'plan', NAME);
    assert.match(plan, /limits\.files: 300 becomes 400; a reload starts new sandboxes beside the old ones/);
    await systemctl('reload', `plugin@${NAME}`);
    await untilReplaced(NAME, 1, unit);
    const [sandbox] = await readySandboxes(NAME);
    assert.equal(processLimit(sandbox?.payloadPid ?? 0, 'Max open files'), '400 400');
  });

  it('are as declared in the end, whenever the supervisor is killed while they change', async () => {
    const { unit, pid } = await started('memory: 64M');
    for (const [index, ms] of [0, 2, 5, 10, 20, 40].entries()) {
      const before = await supervisorPid();
      const megabytes = 100 + index;
      await reload(`memory: ${megabytes}M`);
      await pause(ms);
      process.kill(before, 'SIGKILL');
      await supervisorBack(before);
      // The anchor's word may have died with the supervisor: then nothing of the change was begun.
      await systemctl('reload', `plugin@${NAME}`);
      const wanted = String(memory(megabytes));
      await until(`MemoryMax of the unit is ${wanted}`, async () => (await property(unit, 'MemoryMax')) === wanted);
      assert.equal(await property(SLICE, 'MemoryMax'), String(2 * memory(megabytes)));
    }
    assert.deepEqual(pidsOf(await readySandboxes(NAME)), [pid]);
  });

  it('that were decided and not yet set are set by the next supervisor without being asked', async () => {
    const { unit } = await started('memory: 64M');
    const file = `/run/bulkhead/sandbox/${unit}.json`;
    const record = JSON.parse(readFileSync(file, 'utf8')) as { limits: string };
    await systemctl('set-property', '--runtime', unit, 'MemoryMax=50M');
    // As it is when a supervisor dies after it saved the plan, and before systemd had its request.
    await must('sh', '-c', `sed -i 's/${record.limits}/0000000000000000/' ${file}`);
    await killSupervisor();
    await until('the unit has its limit again', async () => (await property(unit, 'MemoryMax')) === String(memory(64)));
    await until('the record says so', () => readFileSync(file, 'utf8').includes(record.limits));
  });

  it('that somebody sets on a unit or for the plugin are told beside the declared ones, and the audit finds them', async () => {
    const { unit } = await started('memory: 64M, tasks: 20');
    await systemctl('set-property', '--runtime', unit, 'TasksMax=44');
    await systemctl('set-property', '--runtime', `plugin@${NAME}`, 'MemoryMax=300M');
    await until('the slice has the limit', async () => (await property(SLICE, 'MemoryMax')) === String(300 << 20));
    const seen = await status(NAME);
    const [sandbox] = seen.sandboxes;
    const own = (limit: string) => sandbox?.limits.find((each) => each.limit === limit);
    const { inForce, ...tasks } = own('tasks') ?? {};
    assert.deepEqual(tasks, { limit: 'tasks', declared: 20 + overhead.tasks, asked: 44, from: unit });
    // Null where the lab's host has no such controller for us.
    assert.ok(inForce === null || inForce === 44, String(inForce));
    assert.equal(own('memory')?.from, 'declaration');
    const total = seen.limits.find((each) => each.limit === 'memory');
    assert.deepEqual(
      [total?.declared, total?.asked, total?.from],
      [2 * memory(64), 300 << 20, `plugin@${NAME}.service`],
    );
    const text = await must('bulkheadctl', 'status', NAME);
    assert.match(
      text,
      new RegExp(`Limits: in all memory ${(2 * memory(64)) >> 20}M, .*tasks ${2 * (20 + overhead.tasks)}`),
    );
    assert.match(text, new RegExp(`${unit}: tasks declared ${20 + overhead.tasks}, asked 44 by ${unit}, `));
    assert.match(
      text,
      new RegExp(`in all: memory declared ${(2 * memory(64)) >> 20}M, asked 300M by plugin@${NAME}.service, `),
    );
    const audit = await run('bulkheadctl', 'audit', NAME);
    assert.equal(audit.status, 1);
    assert.match(audit.stdout, new RegExp(`TasksMax=44 instead of ${20 + overhead.tasks}`));
    // A changed declaration is asked for last, and wins on the unit.
    await reload('memory: 64M, tasks: 21');
    await until(
      'the unit has the declared limit',
      async () => (await property(unit, 'TasksMax')) === String(21 + overhead.tasks),
    );
    assert.equal(await property(SLICE, 'MemoryMax'), String(300 << 20));
  });
});
