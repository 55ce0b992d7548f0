import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { killSupervisor, must, systemctl, until, untilWhole } from '../../support/system.ts';
import { ask, auditOf, declareProbe, KINDS, remove, start } from './view-lab.ts';

const OPEN = 'os.open(os.environ["BULKHEAD_ACTIVITY"], os.O_RDWR)';

for (const kind of KINDS) {
  const name = `page-${kind}`;
  const directory = `/run/bulkhead/activity/${name}`;

  describe(`the activity page of a ${kind}`, function () {
    this.timeout(120_000);
    afterEach(() => remove(name));

    async function page(): Promise<string> {
      const [sandbox] = await untilWhole(name, 1);
      return `${directory}/${sandbox?.unit}`;
    }

    it('is one file of 64 KiB that the payload can write, and what it wrote is seen outside', async () => {
      declareProbe(name, [`isolation: ${kind}`, 'network: none']);
      await start(name);
      assert.equal(await ask(name, 'os.environ["BULKHEAD_ACTIVITY"]'), '/run/bulkhead/activity');
      assert.equal(await ask(name, `os.pwrite(${OPEN}, b"BKACT001", 0)`), 8);
      const [sandbox] = await untilWhole(name, 1);
      const { uid, gid, mode, size } = statSync(await page());
      const owner = (sandbox?.uidBase ?? 0) + 1000;
      assert.deepEqual({ uid, gid, mode, size }, { uid: owner, gid: owner, mode: 0o100600, size: 65_536 });
      assert.equal(readFileSync(await page(), 'latin1').slice(0, 10), 'BKACT001\0\0');
      assert.equal(statSync('/run/bulkhead/activity').mode & 0o777, 0o700);
      assert.equal(statSync(directory).mode & 0o777, 0o700);
      assert.deepEqual(await auditOf(name), []);
    });

    it('is there in a root that is a directory of its own, too', async () => {
      const root = `/run/page-root-${kind}`;
      await must('mkdir', '-p', ...['usr', 'proc', 'sys', 'dev', 'run', 'tmp', 'plugin'].map((at) => `${root}/${at}`));
      for (const link of ['bin', 'lib', 'lib64', 'sbin']) await must('ln', '-sfn', `usr/${link}`, `${root}/${link}`);
      await must('mount', '--bind', '/usr', `${root}/usr`);
      try {
        declareProbe(name, [`isolation: ${kind}`, `view: { root: ${root} }`]);
        await start(name);
        assert.equal(await ask(name, `os.pwrite(${OPEN}, b"x", 65535)`), 1);
        assert.equal(readFileSync(await page(), 'latin1').at(-1), 'x');
      } finally {
        await remove(name);
        await must('umount', `${root}/usr`);
        await must('rm', '-r', root);
      }
    });

    it('harms nobody when it is cut or filled: there is no more room than the file system has', async () => {
      declareProbe(name, [`isolation: ${kind}`]);
      await start(name);
      assert.equal(await ask(name, `os.ftruncate(${OPEN}, 0)`), null);
      assert.equal(statSync(await page()).size, 0);
      assert.deepEqual(await ask(name, `os.posix_fallocate(${OPEN}, 0, 1 << 25)`), { error: 'ENOSPC' });
      const [, used = '0'] = (await must('df', '--output=used', '-B1', directory)).trim().split('\n');
      assert.ok(Number(used) <= 16 << 20, used);
      assert.deepEqual(await ask(name, 'os.unlink("/run/bulkhead/activity")'), {
        error: kind === 'nspawn' ? 'EROFS' : 'EACCES',
      });
      assert.deepEqual(await auditOf(name), []);
    });

    it('outlives the supervisor, and goes with its sandbox', async () => {
      declareProbe(name, [`isolation: ${kind}`]);
      await start(name);
      const before = await page();
      await ask(name, `os.pwrite(${OPEN}, b"still here", 100)`);
      await killSupervisor();
      assert.equal(await page(), before);
      assert.equal(readFileSync(before, 'latin1').slice(100, 110), 'still here');
      await systemctl('stop', `plugin@${name}`);
      await until('the page is removed', () => !existsSync(before));
      await until('its file system is let go', () => !existsSync(directory));
    });
  });
}
