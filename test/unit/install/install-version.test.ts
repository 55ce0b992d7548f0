import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Failure } from '../../../src/base/failure.ts';
import { type InstallStep, installVersion } from '../../../src/install/install-version.ts';
import { BOUNDS } from '../../../src/install/staging.ts';
import { installedVersion, installedVersions, type VersionPlaces } from '../../../src/kernel/installed-versions.ts';
import { textOf } from '../../static/tree.ts';
import { archive, type RawMember } from './archives.ts';

describe('installing a version', () => {
  let top: string;
  let places: VersionPlaces;
  let source: string;

  beforeEach(() => {
    top = mkdtempSync(join(tmpdir(), 'install-'));
    places = { versions: `${top}/opt`, records: `${top}/records` };
    source = `${top}/source`;
    mkdirSync(`${source}/lib`, { recursive: true });
    writeFileSync(`${source}/main.py`, 'print(1)\n', { mode: 0o755 });
    chmodSync(`${source}/main.py`, 0o6755);
    writeFileSync(`${source}/lib/a.txt`, 'a');
    writeFileSync(`${source}/lib.x`, 'sorted before what is in lib, but not before lib');
    symlinkSync('lib/a.txt', `${source}/link`);
  });

  afterEach(() => rmSync(top, { recursive: true }));

  const install = (from: string, version = 'v1', doors = {}) =>
    installVersion({ plugin: 'hello', version, source: from, by: 'uid 0', at: 1000 }, { places, ...doors });

  const nothingLeft = (): void => {
    assert.deepEqual(installedVersions('hello', places), []);
    assert.deepEqual(existsSync(`${places.versions}/hello`) ? readdirSync(`${places.versions}/hello`) : [], []);
    const records = existsSync(`${places.records}/hello`) ? readdirSync(`${places.records}/hello`) : [];
    assert.deepEqual(
      records.filter((name) => name !== '.lock'),
      [],
    );
  };

  function packed(...words: string[]): string {
    execFileSync('tar', ['-C', source, '-cf', `${top}/source.tar`, ...words, '.']);
    return `${top}/source.tar`;
  }

  it('copies a directory, whole, root’s, and such that nobody writes to it', async () => {
    const { record, changed } = await install(source);
    assert.equal(changed, true);
    const place = `${places.versions}/hello/v1`;
    assert.equal(readFileSync(`${place}/main.py`, 'utf8'), 'print(1)\n');
    assert.equal(readlinkSync(`${place}/link`), 'lib/a.txt');
    const modes = ['.', 'lib', 'main.py', 'lib/a.txt'].map((each) => lstatSync(`${place}/${each}`).mode & 0o7777);
    assert.deepEqual(modes, [0o555, 0o555, 0o555, 0o444], 'set-uid bits are gone');
    assert.deepEqual([record.files, record.bytes, record.kind], [6, 9 + 1 + 48, 'directory']);
    assert.deepEqual(installedVersion('hello', 'v1', places), {
      version: 'v1',
      kind: 'directory',
      record,
      damage: undefined,
    });
    assert.deepEqual(readdirSync(`${places.versions}/hello`), ['v1']);
    assert.equal(statSync(places.records).mode & 0o777, 0o700);
  });

  it('has the digest that the internals say how to make by hand', async () => {
    const { record } = await install(source);
    const script = /```sh\n(# digest of a version\n.*?)```/s.exec(textOf('docs/internals.md'))?.[1] ?? '';
    const digest = execFileSync('bash', ['-euc', script, 'bash', `${places.versions}/hello/v1`], { encoding: 'utf8' });
    assert.equal(digest.split(' ')[0]?.trim(), record.digest);
    const listing = execFileSync('sha256sum', [`${places.records}/hello/v1.list`], { encoding: 'utf8' });
    assert.equal(listing.split(' ')[0], record.digest);
  });

  const packings: readonly [string, (plain: string) => string][] = [
    ['plain', (plain) => plain],
    ['gzip', (plain) => pack(plain, 'gzip')],
    ['xz', (plain) => pack(plain, 'xz')],
    ['bzip2', (plain) => pack(plain, 'bzip2')],
  ];
  for (const [name, wrap] of packings)
    it(`makes the same of an archive, ${name}`, async function () {
      if (name !== 'plain' && spawnSync(name, ['--version']).error !== undefined) return this.skip();
      const { record } = await install(source, 'v1');
      const again = await install(wrap(packed()), 'v1');
      assert.equal(again.changed, false);
      assert.equal(again.record.digest, record.digest);
    });

  for (const format of ['gnu', 'pax', 'ustar', 'v7'])
    it(`reads what tar(1) writes in the format ${format}`, async () => {
      if (format === 'gnu' || format === 'pax') {
        mkdirSync(`${source}/${'d'.repeat(120)}`);
        writeFileSync(`${source}/${'d'.repeat(120)}/${'f'.repeat(200)}`, 'long');
        symlinkSync(`${'d'.repeat(120)}/${'f'.repeat(200)}`, `${source}/long-link`);
      }
      linkSync(`${source}/lib/a.txt`, `${source}/lib/hard`);
      const { record } = await install(packed(`--format=${format}`));
      const { changed } = await install(source);
      assert.equal(changed, false, 'the same as the directory');
      assert.ok(record.files > 6);
    });

  it('takes an image as it is', async () => {
    const image = `${top}/x.squashfs`;
    writeFileSync(image, Buffer.concat([Buffer.from('hsqs'), Buffer.alloc(4096)]));
    const { record } = await install(image, '2.0');
    const [sum] = execFileSync('sha256sum', [image], { encoding: 'utf8' }).split(' ');
    assert.deepEqual([record.kind, record.digest, record.files, record.bytes], ['image', sum, 1, 4100]);
    assert.equal(statSync(`${places.versions}/hello/2.0`).mode & 0o7777, 0o444);
    assert.deepEqual(readdirSync(`${places.versions}/hello`), ['2.0']);
  });

  it('refuses other content under the name of a version, and one of which nothing is known', async () => {
    await install(source);
    writeFileSync(`${source}/main.py`, 'print(2)\n');
    await assert.rejects(install(source), { code: 'BH421' });
    assert.equal(readFileSync(`${places.versions}/hello/v1/main.py`, 'utf8'), 'print(1)\n');
    mkdirSync(`${places.versions}/hello/by-hand`);
    await assert.rejects(install(source, 'by-hand'), { code: 'BH421' });
  });

  it('refuses what is no source, and a name that is none', async () => {
    writeFileSync(`${top}/text`, 'not an archive'.repeat(100));
    await assert.rejects(install(`${top}/text`), { code: 'BH420', message: /no tar archive/ });
    await assert.rejects(install(`${top}/none`), { code: 'BH420' });
    await assert.rejects(install('/dev/null'), { code: 'BH420' });
    await assert.rejects(install(source, '../v1'), { code: 'BH420' });
    nothingLeft();
  });

  const long = 'x'.repeat(300);
  const hostile: readonly [string, readonly RawMember[], RegExp][] = [
    ['an absolute path', [{ name: '/etc/cron.d/x', content: 'x' }], /'\/etc\/cron\.d\/x' is an absolute path/],
    ['a path upwards', [{ name: 'a/../../x', content: 'x' }], /'a\/\.\.\/\.\.\/x' leads out of the version/],
    ['a link out of it', [{ name: 'x', type: '2', target: '../../../etc' }], /'x' is a link to .* not in the version/],
    ['an absolute link', [{ name: 'x', type: '2', target: '/etc/shadow' }], /'x' is a link to '\/etc\/shadow'/],
    [
      'a file through a link',
      [
        { name: 'x', type: '2', target: '/tmp' },
        { name: 'x/y', content: 'x' },
      ],
      /'x' is a directory and something else/,
    ],
    [
      'a file over a link',
      [
        { name: 'x', type: '2', target: '/etc/passwd' },
        { name: 'x', content: 'x' },
      ],
      /'x' is there twice/,
    ],
    [
      'links that lead out together',
      [
        { name: 'p/q/up', type: '2', target: '../..' },
        { name: 'p/q/out', type: '2', target: 'up/..' },
      ],
      /'p\/q\/out' is a link/,
    ],
    ['a hard link to what is outside', [{ name: 'x', type: '1', target: '/etc/shadow' }], /absolute path/],
    ['a hard link to nothing', [{ name: 'x', type: '1', target: 'y' }], /no file here/],
    [
      'a hard link to a link',
      [
        { name: 'y', type: '2', target: '/etc/shadow' },
        { name: 'x', type: '1', target: 'y' },
      ],
      /no file here/,
    ],
    ['a character device', [{ name: 'x', type: '3' }], /'x' is a device node/],
    ['a block device', [{ name: 'x', type: '4' }], /'x' is a device node/],
    ['a named pipe', [{ name: 'x', type: '6' }], /'x' is a named pipe/],
    ['a sparse file', [{ name: 'x', type: 'S' }], /of type 'S'/],
    ['a size that is none', [{ name: 'x', size: -1 }], /no tar archive|damaged/],
    ['a member that breaks off', [{ name: 'x', content: 'x', size: 1 << 20 }], /ends too early/],
    ['a long header', [{ name: 'x', type: 'L', size: 1 << 20 }], /header that is too long/],
    [
      'headers without end',
      Array(20).fill({ name: 'x', type: 'x', content: '10 path=y\n' }),
      /header that is too long/,
    ],
    ['a header that lies of its length', [{ name: 'x', type: 'x', content: '99 path=y\n' }], /damaged header/],
    ['a path upwards in a header', [{ name: 'h', type: 'x', content: '13 path=../y\n' }, { name: 'x' }], /leads out/],
    ['a long name', [{ name: 'h', type: 'L', content: long }, { name: 'x' }], /too long a name/],
    ['holes in a header', [{ name: 'h', type: 'x', content: '22 GNU.sparse.major=1\n' }, { name: 'x' }], /with holes/],
    [
      'directories without end',
      [{ name: 'd/'.repeat(49), type: '5' }, { name: 'e/'.repeat(49) }],
      /more than 60 files/,
    ],
    ['the same directory without end', Array(100).fill({ name: './', type: '5' }), /more than 60 files/],
    ['nothing at its end', [{ name: 'x', content: 'x' }], /ends too early/],
  ];
  for (const [what, members, message] of hostile)
    it(`refuses an archive with ${what}, and leaves nothing`, async () => {
      const end = what !== 'nothing at its end';
      writeFileSync(`${top}/hostile.tar`, archive(members, end));
      await assert.rejects(install(`${top}/hostile.tar`, 'v1', { bounds: { ...BOUNDS, entries: 60 } }), (error) => {
        assert.equal((error as Failure).code, 'BH420');
        assert.match((error as Failure).message, message);
        return true;
      });
      nothingLeft();
      assert.ok(!existsSync('/etc/cron.d/x'));
    });

  it('keeps names that are bytes and no text', async () => {
    writeFileSync(
      `${top}/odd.tar`,
      archive([
        { name: 'caf\xe9', content: 'x' },
        { name: 'two\nlines', content: 'y' },
      ]),
    );
    const { record } = await install(`${top}/odd.tar`);
    const names = readdirSync(`${places.versions}/hello/v1`, { encoding: 'latin1' });
    assert.deepEqual(names.sort(), ['caf\xe9', 'two\nlines']);
    assert.equal(record.files, 3);
  });

  it('ends early with a bomb: it writes no more than the bounds', async () => {
    writeFileSync(`${top}/bomb.tar.gz`, gzipSync(archive([{ name: 'x', content: Buffer.alloc(64 << 20) }])));
    await assert.rejects(install(`${top}/bomb.tar.gz`, 'v1', { bounds: { ...BOUNDS, bytes: 1 << 20 } }), {
      code: 'BH420',
      message: /more than 1M of content/,
    });
    nothingLeft();
  });

  it('refuses to fill the disk', async () => {
    await assert.rejects(install(source, 'v1', { bounds: { ...BOUNDS, room: 2 ** 52 } }), {
      code: 'BH420',
      message: /no room/,
    });
    nothingLeft();
  });

  it('refuses devices, pipes and sockets in a directory', async () => {
    execFileSync('mkfifo', [`${source}/pipe`]);
    await assert.rejects(install(source), { code: 'BH420', message: /'pipe' is neither a file/ });
    nothingLeft();
  });

  it('lets one change the versions of a plugin at a time', async () => {
    const doors = { step: (step: InstallStep) => step === 'flush' && assertLocked() };
    let refused = false;
    const assertLocked = (): void => {
      const lock = `${places.records}/hello/.lock`;
      refused = spawnSync('flock', ['--nonblock', lock, 'true']).status !== 0;
    };
    await install(source, 'v1', doors);
    assert.ok(refused);
    assert.equal(spawnSync('flock', ['--nonblock', `${places.records}/hello/.lock`, 'true']).status, 0);
  });

  for (const step of ['clear', 'copy', 'check', 'flush', 'record', 'rename', 'done'] as const)
    it(`leaves nothing or all when it is killed before '${step}'`, async () => {
      const program = `
        import { installVersion } from '${new URL('../../../src/install/install-version.js', import.meta.url).href}';
        const step = (each) => each === '${step}' && process.kill(process.pid, 'SIGKILL');
        const order = { plugin: 'hello', version: 'v1', source: '${source}', by: 'uid 0', at: 1 };
        await installVersion(order, { places: ${JSON.stringify(places)}, step });`;
      const { signal, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
        encoding: 'utf8',
      });
      assert.equal(signal, 'SIGKILL', stderr);
      const there = installedVersion('hello', 'v1', places);
      if (step === 'done') assert.equal(there?.record?.files, 6);
      else assert.equal(there, undefined);
      // The next one clears what was left, and goes on.
      const { record, changed } = await install(source, 'v1');
      assert.equal(changed, step !== 'done');
      assert.deepEqual(installedVersion('hello', 'v1', places)?.record, record);
      assert.deepEqual(readdirSync(`${places.versions}/hello`), ['v1']);
      const records = readdirSync(`${places.records}/hello`).sort();
      assert.deepEqual(records, ['.lock', 'v1.json', 'v1.list']);
    });

  it('clears the record of a version that is not there', async () => {
    await install(source, 'v1');
    rmSync(`${places.versions}/hello/v1`, { recursive: true });
    await install(source, 'v2');
    assert.deepEqual(readdirSync(`${places.records}/hello`).sort(), ['.lock', 'v2.json', 'v2.list']);
  });
});

function pack(file: string, program: string): string {
  writeFileSync(`${file}.packed`, execFileSync(program, ['-c', file], { maxBuffer: 1 << 26 }));
  return `${file}.packed`;
}
