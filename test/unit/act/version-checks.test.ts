import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VersionChecks } from '../../../src/act/version-checks.ts';
import { formatVersionCheck, type VersionCheck } from '../../../src/base/version-check.ts';
import { formatVersionRecord } from '../../../src/base/version-record.ts';
import { DEFAULT_CONFIGURATION } from '../../../src/declare/configuration.ts';
import { HOST_PATHS } from '../../../src/kernel/host-facts.ts';
import type { VersionPlaces } from '../../../src/kernel/installed-versions.ts';

const RECORD = {
  kind: 'directory' as const,
  digest: 'ab'.repeat(32),
  files: 1,
  bytes: 0,
  installedAt: 0,
  by: 'uid 0',
  source: 'x',
};

describe('VersionChecks', () => {
  let run: string;
  let places: VersionPlaces;
  /** What the unit writes; undefined: it fails. */
  let answer: string | undefined;
  let started: string[];
  let unrecorded: 'allow' | 'refuse';

  beforeEach(() => {
    run = mkdtempSync(join(tmpdir(), 'checks-'));
    places = { versions: `${run}/opt`, records: `${run}/records` };
    for (const version of ['v1', 'v2', 'by-hand']) mkdirSync(`${run}/opt/hello/${version}`, { recursive: true });
    mkdirSync(`${run}/records/hello`, { recursive: true });
    for (const version of ['v1', 'v2'])
      writeFileSync(recordOf(version), formatVersionRecord('hello', { ...RECORD, version }));
    mkdirSync(`${run}/check`);
    [answer, started, unrecorded] = ['{"verdict":"ok"}', [], 'allow'];
  });

  afterEach(() => rmSync(run, { recursive: true }));

  const recordOf = (version: string) => `${places.records}/hello/${version}.json`;
  const checks = () =>
    new VersionChecks({
      places,
      paths: { ...HOST_PATHS, run },
      configuration: () => ({ ...DEFAULT_CONFIGURATION, versions: { unrecorded } }),
      manager: {
        startUnit: async (unit) => {
          const id = /^bulkhead-check@([0-9a-f]{16})\.service$/.exec(unit)?.[1];
          started.push(readFileSync(`${run}/check/${id}.request`, 'utf8'));
          await new Promise(setImmediate);
          if (answer === undefined) return 'failed';
          writeFileSync(`${run}/check/${id}.answer`, answer);
          return 'done';
        },
        startTransientUnit: async (unit) => {
          started.push(unit);
          return 'done';
        },
      },
    });
  const require = (check: VersionCheck) => {
    answer = formatVersionCheck(check);
    return checks().require({ plugin: 'hello', version: 'v1' });
  };

  it('asks the unit about one version, and leaves nothing', async () => {
    await require({ verdict: 'ok' });
    assert.deepEqual(
      started.map((text) => JSON.parse(text)),
      [{ plugin: 'hello', version: 'v1' }],
    );
    assert.deepEqual(readdirSync(`${run}/check`), []);
  });

  it('asks nothing for a plugin without a version', async () => {
    await checks().require({ plugin: 'hello', version: undefined });
    assert.deepEqual(started, []);
  });

  it('asks once for those who ask at the same time', async () => {
    const one = checks();
    await Promise.all([one.verify('hello', 'v1'), one.verify('hello', 'v1'), one.verify('hello', 'v2')]);
    assert.equal(started.length, 2);
    await one.verify('hello', 'v1');
    assert.equal(started.length, 3, 'but not for those who ask later');
  });

  it('says what is wrong, with its path', async () => {
    await assert.rejects(require({ verdict: 'differs', path: 'lib/x', expected: 'a file', found: 'nothing' }), {
      code: 'BH212',
      message: "'/opt/plugin/hello/v1/lib/x' was a file and is nothing",
    });
    await assert.rejects(require({ verdict: 'differs', path: '.', expected: 'a', found: 'b' }), {
      message: "'/opt/plugin/hello/v1' was a and is b",
    });
    await assert.rejects(require({ verdict: 'damaged', text: 'no JSON' }), { code: 'BH211' });
    await assert.rejects(require({ verdict: 'gone' }), { code: 'BH201' });
  });

  it('asks nobody about what is not there, or has no record that can be read', async () => {
    await assert.rejects(checks().require({ plugin: 'hello', version: 'v9' }), { code: 'BH201' });
    writeFileSync(recordOf('v1'), '{}');
    await assert.rejects(checks().require({ plugin: 'hello', version: 'v1' }), { code: 'BH211' });
    assert.deepEqual(started, []);
  });

  it('leaves what nobody has recorded to the configuration', async () => {
    await checks().require({ plugin: 'hello', version: 'by-hand' });
    unrecorded = 'refuse';
    await assert.rejects(checks().require({ plugin: 'hello', version: 'by-hand' }), { code: 'BH214' });
    assert.deepEqual(started, []);
  });

  it('is not satisfied with less than an answer', async () => {
    for (const text of [undefined, '', '{}', '{"verdict":"fine"}', '{"verdict":"differs","path":"x"}']) {
      answer = text;
      await assert.rejects(checks().require({ plugin: 'hello', version: 'v1' }), { code: 'BH213' }, text);
      assert.deepEqual(readdirSync(`${run}/check`), []);
    }
  });

  it('has old versions removed by a unit', async () => {
    await checks().removeOld('a-b');
    assert.deepEqual(started, ['bulkhead-old-versions-a\\x2db.service']);
  });
});
