import assert from 'node:assert/strict';
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import {
  killSupervisor,
  must,
  run,
  status,
  systemctl,
  UPGRADED_AT_ONCE,
  until,
  untilWhole,
} from '../../support/system.ts';
import { audit } from './audit-lab.ts';
import { ask, auditOf, declareProbe, KINDS, refused, remove, start } from './view-lab.ts';

const STATE = '/var/lib/bulkhead/state';

function isMounted(place: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${place} `);
}

for (const kind of KINDS) {
  const name = `state-${kind}`;
  const place = `/run/bulkhead/state/${name}`;
  const declaration = (more = ''): string[] => [
    `isolation: ${kind}`,
    UPGRADED_AT_ONCE,
    `state: { path: /var/lib/plugin${more} }`,
    'view: { tmpfs: [{ path: /var/cache/app, size: 1M }] }',
  ];

  describe(`writable directories of a ${kind}`, function () {
    this.timeout(120_000);
    afterEach(() => remove(name));

    it('are the declared ones: in memory with their size, and the lasting one', async () => {
      declareProbe(name, declaration());
      await start(name);
      assert.equal(await ask(name, 'os.environ["STATE_DIRECTORY"]'), '/var/lib/plugin');
      assert.equal(await ask(name, 'open("/var/cache/app/x", "w").write("x" * 1000)'), 1000);
      assert.deepEqual(await ask(name, 'open("/var/cache/app/y", "w").write("x" * (1 << 21))'), { error: 'ENOSPC' });
      assert.deepEqual(await ask(name, 'open("/var/lib/x", "w")'), { error: 'EROFS' });
      assert.equal(await ask(name, 'open("/var/lib/plugin/kept", "w").write("kept")'), 4);
      assert.equal(readFileSync(`${STATE}/${name}/kept`, 'utf8'), 'kept');
      const { uid, gid } = statSync(`${STATE}/${name}/kept`);
      assert.deepEqual([uid, gid], [1000, 1000]);
      assert.deepEqual(await auditOf(name), []);
    });

    it('last over versions and stops, are shared by the pool, and are mounted while they are needed', async () => {
      declareProbe(name, [...declaration(), 'pool: { size: 2 }']);
      await start(name, 2);
      const [before] = await untilWhole(name, 2);
      await ask(name, 'open("/var/lib/plugin/kept", "w").write("v1")');
      for (let tries = 0; tries < 8; tries++)
        assert.equal(await ask(name, 'open("/var/lib/plugin/kept").read()'), 'v1');
      declareProbe(name, [...declaration(), 'pool: { size: 2 }'], 'v2');
      await systemctl('reload', `plugin@${name}`);
      await until('the new version serves', async () => {
        const { sandboxes } = await status(name);
        return sandboxes.length === 2 && sandboxes.every(({ version, state }) => version === 'v2' && state === 'ready');
      });
      assert.equal(await ask(name, 'os.environ["BULKHEAD_VERSION"] + open("/var/lib/plugin/kept").read()'), 'v2v1');
      assert.notEqual((await untilWhole(name, 2))[0]?.uidBase, before?.uidBase);
      assert.ok(isMounted(place));
      await systemctl('stop', `plugin@${name}`);
      await until('the mount is let go', () => !isMounted(place) && !existsSync(place));
      await start(name, 2);
      assert.equal(await ask(name, 'open("/var/lib/plugin/kept").read()'), 'v1');
    });

    it('hold nothing that can be executed, no devices, and are out of reach for others on the host', async () => {
      declareProbe(name, declaration());
      await start(name);
      const copied = 'open("/var/lib/plugin/true", "wb").write(open("/bin/true", "rb").read())';
      assert.ok(Number(await ask(name, copied)) > 1000);
      await ask(name, 'os.chmod("/var/lib/plugin/true", 0o4755)');
      assert.deepEqual(await ask(name, 'os.execv("/var/lib/plugin/true", ["true"])'), { error: 'EACCES' });
      assert.equal(statSync(STATE).mode & 0o7777, 0o700);
      assert.equal(statSync('/run/bulkhead/state').mode & 0o7777, 0o700);
      for (const path of [`${STATE}/${name}/true`, `${place}/true`]) {
        const { status: code } = await run('setpriv', '--reuid=1000', '--regid=1000', '--clear-groups', 'cat', path);
        assert.equal(code, 1, path);
      }
    });

    it('stay when the supervisor is killed, and go when it comes back to nothing that needs them', async () => {
      declareProbe(name, declaration());
      await start(name);
      await killSupervisor();
      assert.ok(isMounted(place));
      await ask(name, 'open("/var/lib/plugin/kept", "w").write("on")');
      await systemctl('stop', `plugin@${name}`);
      await until('the mount is let go', () => !isMounted(place));
      // As a supervisor leaves it that was killed between mount and record.
      mkdirSync(`${place}`, { recursive: true });
      await must('systemd-mount', '-o', 'bind', `${STATE}/${name}`, place);
      await until('it is mounted', () => isMounted(place));
      await killSupervisor();
      await until('the mount is let go', () => !isMounted(place) && !existsSync(place));
      assert.equal(readFileSync(`${STATE}/${name}/kept`, 'utf8'), 'on');
    });

    it('are given to nobody else: what is in the way is told of, and nothing runs', async () => {
      declareProbe(name, declaration());
      writeFileSync(`${STATE}/${name}`, '');
      assert.match(await refused(name), new RegExp(`^BH310 .*'${STATE}/${name}': it is not a directory$`));
      rmSync(`${STATE}/${name}`);
      mkdirSync(`${STATE}/${name}`);
      chownSync(`${STATE}/${name}`, 1001, 1001);
      await start(name);
      assert.equal(statSync(`${STATE}/${name}`).uid, 1000);
    });

    it('need a file system that can be id-mapped; another one is named, and nothing runs', async () => {
      const layers = ['lower', 'upper', 'work'].map((layer) => `/var/tmp/${name}/${layer}`);
      for (const layer of layers) mkdirSync(layer, { recursive: true });
      mkdirSync(`${STATE}/${name}`, { recursive: true });
      const options = `lowerdir=${layers[0]},upperdir=${layers[1]},workdir=${layers[2]}`;
      await must('mount', '-t', 'overlay', '-o', options, 'none', `${STATE}/${name}`);
      try {
        declareProbe(name, declaration());
        const reason = `'${STATE}/${name}': its file system, overlay, cannot be id-mapped`;
        assert.match(await refused(name), new RegExp(`^BH310 .*${reason}$`));
        assert.equal((await status(name)).sandboxes.length, 0);
      } finally {
        await must('umount', `${STATE}/${name}`);
        rmSync(`/var/tmp/${name}`, { recursive: true });
      }
    });

    it('have a quota, or are said not to have one where the file system knows none', async () => {
      declareProbe(name, declaration(', quota: 1M'));
      await start(name);
      assert.deepEqual((await status(name)).stateDirectory, {
        path: `${STATE}/${name}`,
        quotaBytes: 1 << 20,
        quotaHolds: false,
      });
      assert.match((await run('bulkheadctl', 'status', name)).stdout, /State dir: \S+, at most 1M, NOT ENFORCED/);
      assert.match((await run('bulkheadctl', 'plan', name)).stdout, /state\.quota +1M, not enforced: the file system/);
      assert.match(
        (await run('bulkheadctl', 'doctor')).stdout,
        /state quotas: none: state\.quota would not be enforced/,
      );
      assert.deepEqual(
        (await auditOf(name)).map(({ wall, verdict }) => [wall, verdict]),
        [['state', 'not-enforced']],
      );
      assert.equal((await audit(name)).status, 0);
      assert.equal((await audit(name, '--strict')).status, 1);
    });
  });
}
