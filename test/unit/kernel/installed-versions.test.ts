import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isVersionName } from '../../../src/base/version-name.ts';
import { formatVersionRecord, type VersionRecord } from '../../../src/base/version-record.ts';
import schema from '../../../src/declare/plugin.schema.json' with { type: 'json' };
import { installedVersion, installedVersions, type VersionPlaces } from '../../../src/kernel/installed-versions.ts';

const RECORD: VersionRecord = {
  version: '1.9',
  kind: 'directory',
  digest: 'ab'.repeat(32),
  files: 3,
  bytes: 4096,
  installedAt: 1000,
  by: 'uid 0',
  source: '/tmp/x.tar',
};

describe('installed versions', () => {
  let top: string;
  let places: VersionPlaces;

  beforeEach(() => {
    top = mkdtempSync(join(tmpdir(), 'versions-'));
    places = { versions: `${top}/opt`, records: `${top}/records` };
    mkdirSync(`${places.records}/hello`, { recursive: true });
    for (const version of ['1.10', '1.9', '.staging-1'])
      mkdirSync(`${places.versions}/hello/${version}`, { recursive: true });
    writeFileSync(`${places.versions}/hello/1.11`, 'hsqs');
    symlinkSync('1.9', `${places.versions}/hello/current`);
    writeFileSync(`${places.records}/hello/1.9.json`, formatVersionRecord('hello', RECORD));
  });

  afterEach(() => rmSync(top, { recursive: true }));

  it('come in the order of their numbers, with what was written down of them', () => {
    assert.deepEqual(installedVersions('hello', places), [
      { version: '1.9', kind: 'directory', record: RECORD, damage: undefined },
      { version: '1.10', kind: 'directory', record: undefined, damage: undefined },
      { version: '1.11', kind: 'image', record: undefined, damage: undefined },
    ]);
    assert.deepEqual(installedVersions('other', places), []);
  });

  it('are no links and nothing that is not there', () => {
    assert.equal(installedVersion('hello', 'current', places), undefined);
    assert.equal(installedVersion('hello', 'v9', places), undefined);
  });

  it('tell of a damaged record, as of one that is about another version', () => {
    writeFileSync(`${places.records}/hello/1.10.json`, formatVersionRecord('hello', RECORD));
    const found = installedVersion('hello', '1.10', places);
    assert.equal(found?.record, undefined);
    assert.equal(found?.damage?.code, 'BH211');
  });

  it('have names as declarations may name them', () => {
    const { pattern } = schema.properties.version;
    const names = [
      'v1',
      '1.0',
      'a'.repeat(64),
      'a'.repeat(65),
      '',
      '.hidden',
      '1..2',
      'a/b',
      '2.0~rc1+git',
      '-x',
      'x\n',
    ];
    for (const name of names)
      assert.equal(isVersionName(name), new RegExp(pattern, 'u').test(name), JSON.stringify(name));
  });
});
