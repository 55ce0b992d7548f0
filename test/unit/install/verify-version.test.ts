import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatVersionCheck, parseVersionCheck } from '../../../src/base/version-check.ts';
import { installVersion } from '../../../src/install/install-version.ts';
import { verifyVersion } from '../../../src/install/verify-version.ts';
import type { VersionPlaces } from '../../../src/kernel/installed-versions.ts';

describe('checking a version', () => {
  let top: string;
  let places: VersionPlaces;
  let place: string;

  beforeEach(async () => {
    top = mkdtempSync(join(tmpdir(), 'verify-'));
    places = { versions: `${top}/opt`, records: `${top}/records` };
    place = `${places.versions}/hello/v1`;
    mkdirSync(`${top}/source/lib`, { recursive: true });
    for (const name of ['a', 'lib/b', 'z']) writeFileSync(`${top}/source/${name}`, `content of ${name}`);
    symlinkSync('a', `${top}/source/m`);
    await installVersion({ plugin: 'hello', version: 'v1', source: `${top}/source`, by: 'uid 0', at: 1 }, { places });
    chmodSync(place, 0o755);
  });

  afterEach(() => rmSync(top, { recursive: true }));

  const check = () => {
    chmodSync(place, 0o555);
    const found = verifyVersion('hello', 'v1', places);
    assert.deepEqual(parseVersionCheck(formatVersionCheck(found)), found, 'told to another process');
    return found;
  };

  it('finds nothing in one that is as it was installed', () => assert.deepEqual(check(), { verdict: 'ok' }));

  const changes: readonly [string, (place: string) => void, string, RegExp, RegExp][] = [
    ['a byte that was added', (at) => appendFileSync(`${at}/lib/b`, 'x'), 'lib/b', /16 bytes/, /17 bytes/],
    ['other content of the same size', (at) => writeFileSync(`${at}/z`, 'CONTENT OF z'), 'z', /sha256/, /sha256/],
    ['a file that is cut off', (at) => truncateSync(`${at}/a`, 0), 'a', /12 bytes|content/, / 0 bytes/],
    ['a file that is gone', (at) => unlinkSync(`${at}/a`), 'a', /a file of mode 0444/, /nothing/],
    ['the last file gone', (at) => unlinkSync(`${at}/z`), 'z', /a file/, /nothing/],
    ['a file that came', (at) => writeFileSync(`${at}/lib/0`, ''), 'lib/0', /nothing/, /a file/],
    ['a last file that came', (at) => writeFileSync(`${at}/zz`, ''), 'zz', /nothing/, /a file/],
    ['a mode', (at) => chmodSync(`${at}/a`, 0o4755), 'a', /mode 0444/, /mode 4755/],
    ['a mode of a directory', (at) => chmodSync(`${at}/lib`, 0o777), 'lib', /mode 0555/, /mode 0777/],
    ['another owner', (at) => lchownSync(`${at}/m`, 1000, 0), 'm', /owned by uid 0/, /owned by uid 1000/],
    [
      'a link that leads elsewhere',
      (at) => {
        unlinkSync(`${at}/m`);
        symlinkSync('/etc/passwd', `${at}/m`);
      },
      'm',
      /a link to 'a'/,
      /a link to '\/etc\/passwd'/,
    ],
    [
      'a link in place of a file',
      (at) => {
        unlinkSync(`${at}/z`);
        symlinkSync('a', `${at}/z`);
      },
      'z',
      /a file/,
      /a link to 'a'/,
    ],
  ];
  for (const [what, change, path, expected, found] of changes)
    it(`finds ${what}, and where`, () => {
      change(place);
      const difference = check();
      assert.equal(difference.verdict, 'differs', JSON.stringify(difference));
      if (difference.verdict !== 'differs') return;
      assert.equal(difference.path, path);
      assert.match(difference.expected, expected);
      assert.match(difference.found, found);
    });

  it('finds a record that is damaged, and a listing that is not the one recorded', () => {
    appendFileSync(`${places.records}/hello/v1.list`, 'd 555 ./x\0');
    assert.match(textOfDamage(check()), /v1\.list': it has another digest/);
    writeFileSync(`${places.records}/hello/v1.json`, '{}');
    assert.match(textOfDamage(check()), /v1\.json'/);
  });

  it('knows one that is not there, and one of which nothing is known', () => {
    assert.deepEqual(verifyVersion('hello', 'v9', places), { verdict: 'gone' });
    mkdirSync(`${places.versions}/hello/by-hand`);
    assert.deepEqual(verifyVersion('hello', 'by-hand', places), { verdict: 'no-record' });
  });

  it('compares an image as one file', async () => {
    const image = `${top}/x.img`;
    writeFileSync(image, Buffer.concat([Buffer.from('hsqs'), Buffer.alloc(4096)]));
    await installVersion({ plugin: 'hello', version: 'i', source: image, by: 'uid 0', at: 1 }, { places });
    assert.deepEqual(verifyVersion('hello', 'i', places), { verdict: 'ok' });
    const installed = `${places.versions}/hello/i`;
    writeFileSync(installed, Buffer.concat([Buffer.from('hsqs'), Buffer.alloc(4096, 1)]));
    const difference = verifyVersion('hello', 'i', places);
    assert.equal(difference.verdict, 'differs');
    unlinkSync(installed);
    mkdirSync(installed);
    assert.deepEqual(verifyVersion('hello', 'i', places), {
      verdict: 'differs',
      path: '.',
      expected: "of kind 'image'",
      found: "of kind 'directory'",
    });
  });
});

function textOfDamage(check: ReturnType<typeof verifyVersion>): string {
  return check.verdict === 'damaged' ? check.text : `no damage: ${JSON.stringify(check)}`;
}
