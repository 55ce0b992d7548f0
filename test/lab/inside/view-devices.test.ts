import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { CGROUP_ROOT } from '../../../src/kernel/cgroup.ts';
import { must, run, status, systemctl, until, untilWhole } from '../../support/system.ts';
import { ask, auditOf, declareProbe, KINDS, refused, remove, start } from './view-lab.ts';

/** Harmless nodes of the tun driver under names of their own: opened, they are a file that does nothing. */
const GIVEN = '/dev/bulkhead-given';
const KEPT = '/dev/bulkhead-kept';
const OPEN = (path: string, flags = 'os.O_RDWR') => `os.close(os.open("${path}", ${flags}))`;

for (const kind of KINDS) {
  const name = `devices-${kind}`;
  const declaration = (access: string): string[] => [
    `isolation: ${kind}`,
    `devices: [{ path: ${GIVEN}, access: ${access} }]`,
  ];

  /** Whether a process of the sandbox's payload group may open the host's node: the kernel's policy, without the view. */
  async function policyLets(path: string, how: '<' | '>'): Promise<boolean> {
    const [sandbox] = await untilWhole(name, 1);
    const group = `${CGROUP_ROOT}${sandbox?.cgroup}`;
    const payload = kind === 'nspawn' ? `${group}/payload` : group;
    const script = `echo $$ > '${payload}/cgroup.procs' && exec 3${how}${path}`;
    return (await run('sh', '-c', script)).status === 0;
  }

  describe(`devices of a ${kind}`, function () {
    this.timeout(120_000);
    before(async () => {
      for (const node of [GIVEN, KEPT])
        await must('mknod', '-m', '666', node, 'c', '10', node === GIVEN ? '200' : '229');
    });
    after(() => {
      for (const node of [GIVEN, KEPT]) rmSync(node, { force: true });
    });
    afterEach(() => remove(name));

    it('are the declared ones, which can be opened, and no others', async () => {
      declareProbe(name, declaration('rw'));
      await start(name);
      assert.equal(await ask(name, OPEN(GIVEN)), null);
      assert.deepEqual(await ask(name, OPEN(KEPT)), { error: 'ENOENT' });
      assert.equal(await policyLets(GIVEN, '>'), true);
      assert.equal(await policyLets(KEPT, '<'), false);
      assert.deepEqual(await auditOf(name), []);
    });

    it('are none without a declaration', async () => {
      declareProbe(name, [`isolation: ${kind}`]);
      await start(name);
      assert.deepEqual(await ask(name, OPEN(GIVEN)), { error: 'ENOENT' });
      assert.equal(await policyLets(GIVEN, '<'), false);
      assert.equal(await policyLets('/dev/null', '<'), true);
    });

    it('can be opened only as declared', async () => {
      declareProbe(name, declaration('r'));
      await start(name);
      assert.equal(await ask(name, OPEN(GIVEN, 'os.O_RDONLY')), null);
      assert.match(JSON.stringify(await ask(name, OPEN(GIVEN))), /EROFS|EPERM|EACCES/);
      assert.equal(await policyLets(GIVEN, '<'), true);
      assert.equal(await policyLets(GIVEN, '>'), false);
    });

    it('cannot be made: mknod(2) ends the payload', async () => {
      declareProbe(name, declaration('rw'));
      await start(name);
      await assert.rejects(ask(name, 'os.mknod("/tmp/null", 0o20666, os.makedev(1, 3))'));
      await until('the payload was ended for it', async () => {
        const { stdout } = await run('bulkheadctl', 'events', name);
        return /mknod/.test(stdout);
      });
    });

    it('that a payload could not open, or must not have, are named at once', async () => {
      declareProbe(name, declaration('rw'));
      await must('chmod', '660', GIVEN);
      const closed = await refused(name);
      await must('chmod', '666', GIVEN);
      assert.match(closed, /^BH208 .*'\/dev\/bulkhead-given' has mode 0660: a payload could not open it for 'rw'/);
      await run('systemctl', 'reset-failed', `plugin@${name}`);
      declareProbe(name, [`isolation: ${kind}`, 'devices: [{ path: /dev/kmsg }]']);
      assert.match(await refused(name), /^BH208 .*'\/dev\/kmsg' is refused: it gives the kernel's messages away/);
      await run('systemctl', 'reset-failed', `plugin@${name}`);
      declareProbe(name, [`isolation: ${kind}`, 'devices: [{ path: /dev/loop0 }]']);
      assert.match(await refused(name), /^BH208 .*'\/dev\/loop0' is refused: it gives the host's disks away/);
      assert.equal((await status(name)).sandboxes.length, 0);
      await systemctl('reset-failed', `plugin@${name}`);
    });
  });
}
