import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { stampOf } from '../../../src/kernel/file-facts.ts';
import type { ImageFormat } from '../../../src/plan/plan.ts';
import { HostMounts } from '../../../src/sandbox/host-mounts.ts';
import {
  killSupervisor,
  must,
  run,
  status,
  systemctl,
  UPGRADED_AT_ONCE,
  until,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';
import { ask, auditOf, declareProbe, KINDS, refused, remove, start } from './view-lab.ts';

const WORK = '/var/tmp/bulkhead-image';

/** Makes an image with the host's /usr/bin/python3 and what it needs, and a file that tells which image it is. */
async function makeImage(format: ImageFormat, mark: string, without: readonly string[] = []): Promise<string> {
  const tree = `${WORK}/tree`;
  rmSync(tree, { recursive: true, force: true });
  for (const directory of ['usr/bin', 'usr/lib', 'proc', 'sys', 'dev', 'run', 'tmp', 'plugin', 'etc', 'data'])
    if (!without.includes(directory)) mkdirSync(`${tree}/${directory}`, { recursive: true });
  const program = (await must('readlink', '-f', '/usr/bin/python3')).trim();
  const libraries = (await must('ldd', program)).match(/\/\S+/g) ?? [];
  for (const file of libraries) {
    mkdirSync(`${tree}${file.slice(0, file.lastIndexOf('/'))}`, { recursive: true });
    copyFileSync(file, `${tree}${file}`);
  }
  copyFileSync(program, `${tree}/usr/bin/python3`);
  await must('cp', '-a', `/usr/lib/${program.split('/').at(-1)}`, `${tree}/usr/lib/`);
  writeFileSync(`${tree}/etc/mark`, mark);
  const image = `${WORK}/${mark}.img`;
  rmSync(image, { force: true });
  if (format === 'squashfs')
    await must('mksquashfs', tree, image, '-quiet', '-no-progress', '-comp', 'gzip', '-Xcompression-level', '1');
  else await must('mkfs.erofs', '--quiet', image, tree);
  return image;
}

function mountedImages(): string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.map((line) => line.split(' ')[4] ?? '').filter((place) => place.startsWith('/run/bulkhead/image/'));
}

async function loops(): Promise<number> {
  return (await must('losetup', '--list', '--noheadings', '--output', 'BACK-FILE'))
    .split('\n')
    .filter((line) => line.includes(WORK)).length;
}

for (const kind of KINDS) {
  const name = `image-${kind}`;
  const declaration = (image: string, more: readonly string[] = []): string[] => [
    `isolation: ${kind}`,
    UPGRADED_AT_ONCE,
    `view: { root: ${image} }`,
    ...more,
  ];

  describe(`images as roots of a ${kind}`, function () {
    this.timeout(180_000);
    before(() => mkdirSync(WORK, { recursive: true }));
    after(() => rmSync(WORK, { recursive: true, force: true }));
    afterEach(async () => {
      await remove(name);
      await until('no image is mounted', () => mountedImages().length === 0);
      // The last mount of it goes with the last process that was in the sandbox.
      await until('its loop device is free', async () => (await loops()) === 0);
    });

    for (const format of ['squashfs', 'erofs'] as const) {
      it(`of the format ${format} are mounted once for all sandboxes, read-only, and let go with the plugin`, async () => {
        const image = await makeImage(format, `one-${format}`);
        declareProbe(name, declaration(image, ['pool: { size: 2 }']));
        await start(name, 2);
        assert.equal(await ask(name, 'open("/etc/mark").read()'), `one-${format}`);
        assert.deepEqual(await ask(name, 'open("/data/x", "w")'), { error: 'EROFS' });
        const [place = '', ...others] = mountedImages();
        assert.deepEqual([others, await loops()], [[], 1]);
        assert.match(await must('findmnt', '-no', 'FSTYPE,OPTIONS', place), new RegExp(`^${format} +ro,nosuid,nodev`));
        assert.deepEqual(await auditOf(name), []);
        await killSupervisor();
        assert.deepEqual(mountedImages(), [place]);
        assert.equal(await ask(name, 'open("/etc/mark").read()'), `one-${format}`);
        await systemctl('stop', `plugin@${name}`);
        await until('it is let go', () => mountedImages().length === 0 && !existsSync(place));
      });
    }

    it('that have changed come with a reload; until then all that starts gets the old one', async () => {
      const image = await makeImage('squashfs', 'first');
      const second = await makeImage('squashfs', 'second');
      declareProbe(name, declaration(image));
      await start(name);
      const [before] = await untilWhole(name, 1);
      renameSync(second, image);
      process.kill(before?.payloadPid ?? 0, 'SIGKILL');
      await untilReplaced(name, 1, before?.unit ?? '');
      assert.equal(await ask(name, 'open("/etc/mark").read()'), 'first');
      const [old] = await untilWhole(name, 1);
      await systemctl('reload', `plugin@${name}`);
      await untilReplaced(name, 1, old?.unit ?? '');
      assert.equal(await ask(name, 'open("/etc/mark").read()'), 'second');
      await until('the old one is let go', () => mountedImages().length === 1);
      assert.deepEqual(await auditOf(name), []);
    });

    it('that lack a directory, or are damaged, are named, and nothing runs', async () => {
      const image = await makeImage('squashfs', 'lacks', ['sys', 'plugin']);
      declareProbe(name, declaration(image, ['state: { path: /data/state }']));
      const missing = "'/sys', '/plugin', '/data/state'";
      assert.match(await refused(name), new RegExp(`^BH311 .*'${image}' has no directory ${missing}$`));
      await run('systemctl', 'reset-failed', `plugin@${name}`);
      truncateSync(image, 40_960);
      declareProbe(name, declaration(image));
      const damaged = await refused(name);
      assert.match(
        damaged,
        new RegExp(`^BH311 .*'${image}': start of 'run-bulkhead-image-\\w+\\.mount': failed: mount: `),
      );
      assert.equal((await status(name)).sandboxes.length, 0);
      await systemctl('reset-failed', `plugin@${name}`);
    });
  });
}

describe('an image that is exchanged between plan and mount', function () {
  this.timeout(120_000);
  const where = '/run/bulkhead-image-test/place';
  const image = `${WORK}/plain.img`;
  const other = `${WORK}/other.img`;

  before(async () => {
    mkdirSync(WORK, { recursive: true });
    mkdirSync(`${WORK}/empty`, { recursive: true });
    for (const file of [image, other]) await must('mksquashfs', `${WORK}/empty`, file, '-quiet', '-no-progress');
  });
  after(() => {
    rmSync(WORK, { recursive: true, force: true });
    rmSync('/run/bulkhead-image-test', { recursive: true, force: true });
  });
  afterEach(() => run('umount', where));

  /** Mounts as systemd would, with something done before and after. */
  function mounts(first: () => void, last: () => void): HostMounts {
    return new HostMounts({
      async startTransient() {
        first();
        await must('mount', '-o', 'loop,ro', image, where);
        last();
      },
      stopAndWait: async () => void (await run('umount', where)),
      reset: async () => {},
      mountsBelow: async () => [],
    });
  }

  const nothing = (): void => {};
  const swap = (): void => {
    renameSync(image, `${image}.aside`);
    renameSync(other, image);
    renameSync(`${image}.aside`, other);
  };
  const ensure = (made: HostMounts): Promise<void> =>
    made.ensure({ where, what: image, type: 'squashfs', options: '', stamp: stampOf(image) });

  it('is taken when nobody touched it', () => ensure(mounts(nothing, nothing)));

  it('is refused when another one is in its place', async () => {
    await assert.rejects(ensure(mounts(swap, nothing)), { code: 'BH311', message: /has changed since the plan/ });
  });

  it('is refused when another one was in its place at the moment of the mount only', async () => {
    await assert.rejects(ensure(mounts(swap, swap)), { code: 'BH311', message: /has changed since the plan/ });
  });

  it('is refused when its content has changed', async () => {
    const append = (): void => writeFileSync(image, Buffer.alloc(4096), { flag: 'a' });
    await assert.rejects(ensure(mounts(append, nothing)), { code: 'BH311', message: /has changed since the plan/ });
  });
});
