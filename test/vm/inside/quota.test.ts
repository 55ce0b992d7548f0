import assert from 'node:assert/strict';
import { copyFileSync, rmSync } from 'node:fs';
import { ask, auditOf, declareProbe, remove } from '../../lab/inside/view-lab.ts';
import { must, status, systemctl, until } from '../../support/system.ts';

/** Ample for an emulated machine: only a hang takes longer. */
const PATIENCE_MS = 600_000;
const STATE = '/var/lib/bulkhead/state';
/** Empty, ext4 with the features quota and project; made by `test/host/inside-tree`. */
const IMAGE = '/opt/bulkhead-test/quota.ext4';
const DISK = '/var/tmp/state.ext4';
const NAME = 'quota';
const NEIGHBOUR = 'quota-neighbour';

function writing(file: string, megabytes: number): string {
  return `open("/var/lib/plugin/${file}", "wb").write(b"x" * (${megabytes} << 20)) >> 20`;
}

/** Reloads, and waits until another sandbox answers; asks it alone, because each command takes seconds here. */
async function reload(): Promise<void> {
  const generation = 'os.environ["BULKHEAD_SANDBOX"]';
  const before = await ask(NAME, generation);
  await systemctl('reload', `plugin@${NAME}`);
  // A question in the hands of the one that is stopped gets no answer.
  const answering = (): Promise<unknown> => ask(NAME, generation).catch(() => before);
  await until('another sandbox', async () => (await answering()) !== before, PATIENCE_MS);
}

describe('quotas of state directories, on ext4 with project quotas', function () {
  this.timeout(PATIENCE_MS);

  before(async () => {
    for (const module of ['loop', 'quota_v2']) await must('modprobe', module);
    copyFileSync(IMAGE, DISK);
    await must('mount', '-o', 'loop,prjquota', DISK, STATE);
    // A supervisor that runs has its own look at the directory.
    await systemctl('restart', 'bulkheadd');
  });
  after(async () => {
    await remove(NAME);
    await remove(NEIGHBOUR);
    await systemctl('stop', 'bulkheadd');
    await must('umount', STATE);
    rmSync(DISK);
    await systemctl('start', 'bulkheadd');
  });

  it('hold: bytes and files end at the quota, for this plugin alone, and the status tells so', async () => {
    declareProbe(NAME, ['state: { path: /var/lib/plugin, quota: 4M }']);
    declareProbe(NEIGHBOUR, ['state: { path: /var/lib/plugin, quota: 8M }']);
    await systemctl('start', `plugin@${NAME}`, `plugin@${NEIGHBOUR}`);
    assert.equal(await ask(NAME, writing('first', 3)), 3);
    assert.deepEqual(await ask(NAME, writing('second', 3)), { error: 'EDQUOT' });
    assert.deepEqual(await ask(NAME, '[os.unlink(f"/var/lib/plugin/{n}") for n in ("first", "second")]'), [null, null]);
    const files = '[os.close(os.open(f"/var/lib/plugin/{n}", os.O_CREAT | os.O_WRONLY)) for n in range(2000)]';
    assert.deepEqual(await ask(NAME, files), { error: 'EDQUOT' });
    const made = Number(
      await ask(NAME, 'len([os.unlink(f"/var/lib/plugin/{n}") for n in os.listdir("/var/lib/plugin")])'),
    );
    assert.ok(made > 500 && made < 1024, `${made} files`);
    assert.equal(await ask(NEIGHBOUR, writing('much', 6)), 6);
    const { stateDirectory } = await status(NAME);
    assert.deepEqual(stateDirectory, { path: `${STATE}/${NAME}`, quotaBytes: 4 << 20, quotaHolds: true });
    assert.deepEqual(await auditOf(NAME), []);
  });

  it('follow the declaration: a larger one, and none', async () => {
    declareProbe(NAME, ['state: { path: /var/lib/plugin, quota: 12M }']);
    await reload();
    assert.equal(await ask(NAME, writing('large', 10)), 10);
    assert.deepEqual(await ask(NAME, writing('more', 4)), { error: 'EDQUOT' });
    declareProbe(NAME, ['state: { path: /var/lib/plugin }']);
    await reload();
    assert.equal(await ask(NAME, writing('more', 4)), 4);
  });
});
