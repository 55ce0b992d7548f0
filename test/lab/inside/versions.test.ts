import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import type { EventRecord } from '../../../src/control/api.ts';
import type { VersionStatus } from '../../../src/control/version-store.ts';
import { digestText } from '../../../src/plan/digest.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import {
  must,
  run,
  supervisorBack,
  supervisorPid,
  systemctl,
  until,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';
import { ask, auditOf, declareVersion, refused, remove, start, writeProbe } from './view-lab.ts';

const WORK = '/var/tmp/bulkhead-versions';
/** An upgrade of which only the end matters. */
const AT_ONCE = ['--canary', '100', '--bake', '1s'] as const;
const CONFIGURATION = '/etc/bulkhead/bulkhead.yaml';

/** A directory that a version can be made of; `mark` tells it from others. */
function source(mark: string): string {
  const directory = `${WORK}/${mark}`;
  rmSync(directory, { recursive: true, force: true });
  writeProbe(directory);
  mkdirSync(`${directory}/lib`);
  writeFileSync(`${directory}/lib/mark`, mark);
  return directory;
}

async function image(mark: string): Promise<string> {
  const file = `${WORK}/${mark}.img`;
  rmSync(file, { force: true });
  await must('mksquashfs', source(mark), file, '-quiet', '-no-progress', '-comp', 'gzip', '-Xcompression-level', '1');
  return file;
}

function install(name: string, from: string, version = 'v1'): Promise<string> {
  return must('bulkheadctl', 'install', name, from, '--version', version);
}

async function versions(name: string): Promise<readonly VersionStatus[]> {
  return (JSON.parse(await must('bulkheadctl', 'versions', name, '--json')) as { versions: VersionStatus[] }).versions;
}

async function forget(name: string): Promise<void> {
  await run('systemctl', 'reset-failed', `plugin@${name}`);
}

describe('installed versions', function () {
  this.timeout(180_000);
  before(() => mkdirSync(WORK, { recursive: true }));
  after(() => rmSync(WORK, { recursive: true, force: true }));

  forEachIsolation('a version', (isolation) => {
    const name = `version-${isolation}`;
    const place = `/opt/plugin/${name}`;
    afterEach(() => remove(name));

    it('of a directory runs, cannot be written to, and is shown as live', async () => {
      assert.match(await install(name, source('one')), new RegExp(`^${name} v1 is installed: sha256 [0-9a-f]{16}, `));
      declareVersion(name, []);
      await start(name);
      assert.equal(await ask(name, 'open("/plugin/lib/mark").read()'), 'one');
      assert.deepEqual(await ask(name, 'open("/plugin/x", "w")'), { error: 'EROFS' });
      const [found] = await versions(name);
      assert.deepEqual([found?.version, found?.roles, found?.record?.by], ['v1', ['live', 'running'], 'uid 0']);
      assert.match((await run('bulkheadctl', 'remove', name, 'v1')).stderr, /BH422 .*'v1' of '.*' is live/);
      assert.deepEqual(await auditOf(name), []);
    });

    it('that was changed does not run, the path is named, and it runs again as it was', async () => {
      await install(name, source('one'));
      declareVersion(name, []);
      writeFileSync(`${place}/v1/lib/mark`, 'two');
      const reason = await refused(name);
      const wanted = `'${place}/v1/lib/mark' was a file of mode 0444, 3 bytes, sha256 \\w+ and is a file of mode 0444, 3`;
      assert.match(reason, new RegExp(`^BH212 .*${wanted}`));
      assert.ok(
        (await must('bulkheadctl', 'why', name)).replaceAll(/\s+/g, ' ').includes(`'${place}/v1/lib/mark' was`),
      );
      assert.equal(existsSync(`/run/bulkhead/check/${digestText(`${name}\nv1`)}.answer`), false);
      await forget(name);
      writeFileSync(`${place}/v1/lib/mark`, 'one');
      await start(name);
    });

    it('is compared when its plugin starts, not when a sandbox of it is replaced', async () => {
      await install(name, source('one'));
      declareVersion(name, ['pool: { size: 2 }']);
      await start(name, 2);
      const [first] = await untilWhole(name, 2);
      appendFileSync(`${place}/v1/lib/mark`, ' and more');
      process.kill(first?.payloadPid ?? 0, 'SIGKILL');
      await untilReplaced(name, 2, first?.unit ?? '');
      await systemctl('stop', `plugin@${name}`);
      assert.match(await refused(name), /^BH212 /);
    });

    it('that was changed is not upgraded to, and what serves serves on', async () => {
      await install(name, source('one'));
      declareVersion(name, []);
      await start(name);
      await install(name, source('two'), 'v2');
      writeFileSync(`${place}/v2/lib/mark`, 'bad');
      const { status, stdout, stderr } = await run('bulkheadctl', 'upgrade', name, 'v2', ...AT_ONCE);
      assert.equal(status, 7, `${stdout}${stderr}`);
      assert.match(`${stdout}${stderr}`, new RegExp(`BH212 .*'${place}/v2/lib/mark'`));
      assert.equal(await ask(name, 'open("/plugin/lib/mark").read()'), 'one');
    });

    it('of a plugin that is not declared any more can be removed, and the last one with what is known of upgrades', async () => {
      const remembered = `/var/lib/bulkhead/live/${name}.json`;
      await install(name, source('one'));
      declareVersion(name, []);
      await start(name);
      await install(name, source('two'), 'v2');
      await must('bulkheadctl', 'upgrade', name, 'v2', ...AT_ONCE);
      assert.match((await run('bulkheadctl', 'remove', name, 'v1')).stderr, /BH422 .*what a rollback leads to/);
      await systemctl('stop', `plugin@${name}`);
      rmSync(`/etc/bulkhead/plugins/${name}.yaml`);
      await must('bulkheadctl', 'remove', name, 'v1');
      assert.equal(existsSync(remembered), true);
      await must('bulkheadctl', 'remove', name, 'v2');
      assert.equal(existsSync(remembered), false);
    });

    it('is upgraded to as an image, and gone back from', async () => {
      await install(name, source('one'));
      declareVersion(name, []);
      await start(name);
      await install(name, await image('picture'), 'v2');
      await must('bulkheadctl', 'upgrade', name, 'v2', ...AT_ONCE);
      assert.equal(await ask(name, 'open("/plugin/lib/mark").read()'), 'picture');
      await must('bulkheadctl', 'rollback', name);
      assert.equal(await ask(name, 'open("/plugin/lib/mark").read()'), 'one');
      assert.deepEqual(await auditOf(name), []);
    });

    it('of an image is mounted once for all sandboxes, read-only, and let go with the plugin', async () => {
      await install(name, await image('picture'));
      declareVersion(name, ['pool: { size: 2 }']);
      await start(name, 2);
      assert.equal(await ask(name, 'open("/plugin/lib/mark").read()'), 'picture');
      assert.deepEqual(await ask(name, 'open("/plugin/x", "w")'), { error: 'EROFS' });
      const mounts = () => readFileSync('/proc/self/mountinfo', 'utf8').match(/ \/run\/bulkhead\/image\/\S+ /g) ?? [];
      assert.equal(mounts().length, 1);
      assert.deepEqual(await auditOf(name), []);
      await systemctl('stop', `plugin@${name}`);
      await until('it is let go', () => mounts().length === 0);
      writeFileSync(`${place}/v1`, Buffer.alloc(1, 1), { flag: 'a' });
      assert.match(
        await refused(name),
        new RegExp(`^BH212 .*'${place}/v1' was \\d+ bytes, sha256 \\w+ and is \\d+ bytes`),
      );
    });
  });

  describe('on one host', () => {
    const name = 'version-host';
    const killed = 'version-killed';
    const place = `/opt/plugin/${name}`;
    afterEach(async () => {
      rmSync(CONFIGURATION, { force: true });
      await systemctl('reload', 'bulkheadd');
      await remove(name);
    });

    it('are the same of a directory and of an archive of it', async () => {
      const from = source('one');
      await must('tar', '-C', from, '-czf', `${WORK}/one.tar.gz`, '.');
      await install(name, `${WORK}/one.tar.gz`);
      assert.match(await install(name, from), /was installed already/);
      const other = await run('bulkheadctl', 'install', name, source('two'), '--version', 'v1');
      assert.equal(other.status, 1);
      assert.match(other.stderr, /BH421 the version is there with other content/);
      assert.equal(readFileSync(`${place}/v1/lib/mark`, 'utf8'), 'one');
    });

    it('are not made of an archive that leads out of them, and nothing is left', async () => {
      await must(
        'tar',
        '-C',
        source('one'),
        '-P',
        '-cf',
        `${WORK}/bad.tar`,
        '--transform=s,lib/mark,../../mark,',
        'lib/mark',
      );
      const { status, stderr } = await run('bulkheadctl', 'install', name, `${WORK}/bad.tar`, '--version', 'v1');
      assert.equal(status, 1);
      assert.match(stderr, /BH420 .*'\.\.\/\.\.\/mark' leads out of the version/);
      assert.deepEqual(readdirSync(place), []);
      await must('mknod', `${source('dev')}/null`, 'c', '1', '3').catch(() => must('mkfifo', `${WORK}/dev/null`));
      assert.match(
        (await run('bulkheadctl', 'install', name, `${WORK}/dev`, '--version', 'v1')).stderr,
        /BH420 .*'null'/,
      );
    });

    it('that nobody has recorded run as the configuration says, and are shown without a digest', async () => {
      writeProbe(`${place}/v1`);
      declareVersion(name, []);
      await start(name);
      assert.match(await must('bulkheadctl', 'versions', name), /v1 +live +no digest/);
      await systemctl('stop', `plugin@${name}`);
      writeFileSync(CONFIGURATION, 'versions: { unrecorded: refuse }\n');
      await systemctl('reload', 'bulkheadd');
      assert.match(await refused(name), /^BH214 /);
    });

    it('go when they are old, but for what is live; the supervisor has it among its events', async () => {
      await install(name, source('v1'), 'v1');
      declareVersion(name, ['versions: { keep: 2 }'], 'v1');
      await start(name);
      await install(name, source('v2'), 'v2');
      await install(name, source('v3'), 'v3');
      assert.match(await install(name, source('v4'), 'v4'), /Removed: v2\n/);
      assert.deepEqual(
        (await versions(name)).map(({ version }) => version),
        ['v1', 'v3', 'v4'],
      );
      assert.match(await must('bulkheadctl', 'remove', name, 'v3'), /Removed: v3/);
      assert.deepEqual(readdirSync(place).sort(), ['v1', 'v4']);
      const events = JSON.parse(
        `[${(await must('bulkheadctl', 'events', name, '--json')).trim().split('\n').join(',')}]`,
      );
      const texts = (events.flat() as EventRecord[]).filter(({ kind }) => kind === 'version').map(({ text }) => text);
      // A test before may have installed some, too.
      const news = texts.slice(-6).map((text) => /^version (v\d was \w+) by uid 0, pid \d+$/.exec(text)?.[1]);
      const wanted = ['v1', 'v2', 'v3', 'v4'].map((version) => `${version} was installed`);
      assert.deepEqual(news, [...wanted, 'v2 was removed', 'v3 was removed']);
    });

    it('go when they are old by the end of an upgrade; what was before stays', async () => {
      for (const version of ['v0', 'v1', 'v2']) await install(name, source(version), version);
      declareVersion(name, ['versions: { keep: 1 }'], 'v1');
      await start(name);
      await must('bulkheadctl', 'upgrade', name, 'v2', ...AT_ONCE);
      const names = async () => (await versions(name)).map(({ version }) => version);
      await until('the oldest is gone', async () => !(await names()).includes('v0'));
      const roles = (await versions(name)).map(({ version, roles }) => [version, roles[0]]);
      assert.deepEqual(roles, [
        ['v1', 'previous'],
        ['v2', 'live'],
      ]);
      assert.match((await run('bulkheadctl', 'remove', name, 'v1')).stderr, /BH422 .*is what a rollback leads to/);
    });

    it('are compared by the next supervisor when one dies meanwhile', async () => {
      try {
        const from = source('large');
        writeFileSync(`${from}/large`, Buffer.alloc(256 << 20, 7));
        await install(killed, from);
        declareVersion(killed, []);
        const unit = `bulkhead-check@${digestText(`${killed}\nv1`)}.service`;
        await systemctl('start', '--no-block', `plugin@${killed}`);
        await until(
          'it is compared',
          async () => (await run('systemctl', 'is-active', unit)).stdout === 'activating\n',
        );
        const before = await supervisorPid();
        process.kill(before, 'SIGKILL');
        await supervisorBack(before);
        await untilWhole(killed, 1, 60_000);
        assert.deepEqual(readdirSync('/run/bulkhead/check'), []);
      } finally {
        await remove(killed);
      }
    });

    it('that were installed without a supervisor are told to the journal', async () => {
      await systemctl('stop', 'bulkheadd');
      try {
        await install(name, source('one'));
      } finally {
        await systemctl('start', 'bulkheadd');
      }
      const text = await must(
        'journalctl',
        '--output=cat',
        '--no-pager',
        `BULKHEAD_PLUGIN=${name}`,
        'BULKHEAD_EVENT=version',
      );
      assert.match(text, new RegExp(`'${name}': version v1 installed by uid 0`));
    });

    it('need root', async () => {
      await install(name, source('one'));
      chmodSync(WORK, 0o755);
      for (const words of [
        ['versions', name],
        ['remove', name, 'v1'],
        ['install', name, WORK, '--version', 'v2'],
      ]) {
        const { status, stderr } = await run(
          'setpriv',
          '--reuid=1',
          '--regid=1',
          '--clear-groups',
          'bulkheadctl',
          ...words,
        );
        assert.equal(status, 5, stderr);
        assert.match(stderr, /BH403/);
      }
    });
  });
});
