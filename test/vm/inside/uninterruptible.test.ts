import assert from 'node:assert/strict';
import { copyFileSync, rmSync } from 'node:fs';
import type { FailureClass } from '../../../src/base/failure-class.ts';
import type { Manager } from '../../../src/control/manager.ts';
import { connectManager } from '../../../src/control/manager-client.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import type { StoredIncident } from '../../../src/record/stored-incident.ts';
import { request } from '../../failures/client.ts';
import { incidentsOf, wordsOf } from '../../failures/incidents.ts';
import { saveResults } from '../../failures/results.ts';
import { installExample, installHostile, must, run, systemctl, uninstall, until } from '../../support/system.ts';

/** Ample for an emulated machine: only a hang takes longer. */
const PATIENCE_MS = 300_000;
const STATE = '/var/lib/bulkhead/state';
/** An ext4 file system; made by `test/host/inside-tree`. */
const IMAGE = '/opt/bulkhead-test/quota.ext4';
const DISK = '/var/tmp/frozen.ext4';
const NAME = 'frozen-disk';
const PORT = 9170;

describe('a request that writes to a disk that does not answer', function () {
  this.timeout(PATIENCE_MS);

  let manager: Manager;
  let frozen = false;

  before(async () => {
    for (const module of ['loop', 'quota_v2']) await must('modprobe', module);
    copyFileSync(IMAGE, DISK);
    await must('mount', '-o', 'loop,prjquota', DISK, STATE);
    // A supervisor that runs has its own look at the directory.
    await systemctl('restart', 'bulkheadd');
    manager = await connectManager(systemClock, process.env, false);
    installHostile(NAME, 'misbehave', [
      'template: native',
      'version: v1',
      'isolation: scope',
      `listen: [{ tcp: 127.0.0.1:${PORT} }]`,
      'pool: { size: 2 }',
      'state: { path: /var/lib/plugin }',
      'health: { request-timeout: 2s }',
    ]);
    await systemctl('start', `plugin@${NAME}`);
  });

  after(async () => {
    if (frozen) await must('fsfreeze', '-u', STATE);
    await uninstall(NAME);
    await uninstall('bystander');
    manager?.release();
    await systemctl('stop', 'bulkheadd');
    await must('umount', STATE);
    rmSync(DISK);
    await systemctl('start', 'bulkheadd');
  });

  async function ready(): Promise<readonly string[]> {
    const { sandboxes } = await manager.status(NAME);
    return sandboxes
      .filter(({ state, payloadPid }) => state === 'ready' && payloadPid !== null)
      .map(({ unit }) => unit);
  }

  it('is seen as an uninterruptible hang; its sandbox is fenced off and replaced, and let go with the disk', async () => {
    await until('the pool is whole', async () => (await ready()).length === 2, PATIENCE_MS / 2);
    const since = Date.now();
    await must('fsfreeze', '-f', STATE);
    frozen = true;
    void request({ port: PORT, path: '/do/write-state' });
    const seen = (what: FailureClass) =>
      incidentsOf(NAME, since).find(({ incident }) => incident.verdict.class === what);
    await until('the hang is seen', () => seen('hang') !== undefined, 60_000);
    const hang = seen('hang');
    assert.ok(hang);
    assert.equal(hang.incident.verdict.kind, 'uninterruptible', wordsOf(hang));
    assert.match(wordsOf(hang), /openat|write|fsync/);
    await until('it is seen as unkillable', () => seen('unkillable') !== undefined, 60_000);
    const stuck = hang.incident.unit ?? '';
    assert.equal(seen('unkillable')?.incident.unit, stuck);
    // Nobody else waits for that disk.
    installExample('bystander', 'c', ['template: native', 'version: v1', 'listen: [{ tcp: 127.0.0.1:9171 }]']);
    await systemctl('start', 'plugin@bystander');
    const isReplaced = async () => (await ready()).filter((unit) => unit !== stuck).length === 2;
    await until('the pool is whole without it', isReplaced, PATIENCE_MS / 2);
    const whole = Date.now();
    const fenced = seen('unkillable');
    assert.ok(fenced);
    const common = { isolation: 'scope', answered: 0, lost: 1 } as const;
    const row = (name: string, { incident }: StoredIncident, from: number) => {
      const { class: of, kind } = incident.verdict;
      return { row: name, class: of, kind, noticedMs: incident.at - from, recoveredMs: whole - incident.at, ...common };
    };
    saveResults('uninterruptible', [row(NAME, hang, since), row('unkillable', fenced, hang.incident.at)]);
    const why = await must('bulkheadctl', 'why', NAME);
    assert.ok(why.trimEnd().split('\n').length < 25, why);
    assert.match(why, /unkillable/);
    await must('fsfreeze', '-u', STATE);
    frozen = false;
    const isGone = async () => (await run('systemctl', 'is-active', stuck)).status !== 0;
    await until('it is gone', isGone, 60_000);
    await until('its incidents are over', () => incidentsOf(NAME, since).every(({ over }) => over !== null), 60_000);
  });
});
