import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installVersion } from '../../../src/install/install-version.ts';
import { outlivedVersions } from '../../../src/install/outlived.ts';
import { removeOutlived, removeVersion } from '../../../src/install/remove-version.ts';
import { installedVersion, installedVersions, type VersionPlaces } from '../../../src/kernel/installed-versions.ts';

describe('removing versions', () => {
  let top: string;
  let places: VersionPlaces;

  beforeEach(async () => {
    top = mkdtempSync(join(tmpdir(), 'remove-'));
    places = { versions: `${top}/opt`, records: `${top}/records` };
    mkdirSync(`${top}/source/lib`, { recursive: true });
    writeFileSync(`${top}/source/lib/x`, 'x');
    for (const [at, version] of ['v1', 'v2', 'v10'].entries())
      await installVersion({ plugin: 'hello', version, source: `${top}/source`, by: 'uid 0', at }, { places });
    mkdirSync(`${places.versions}/hello/by-hand`);
  });

  afterEach(() => rmSync(top, { recursive: true }));

  const versions = () => installedVersions('hello', places).map(({ version }) => version);
  const nobody = () => new Map<string, string>();

  it('takes the record along', () => {
    removeVersion('hello', 'v2', { places, inUse: nobody });
    assert.deepEqual(versions(), ['by-hand', 'v1', 'v10']);
    assert.deepEqual(readdirSync(`${places.records}/hello`).sort(), [
      '.lock',
      'v1.json',
      'v1.list',
      'v10.json',
      'v10.list',
    ]);
    removeVersion('hello', 'by-hand', { places, inUse: nobody });
    assert.deepEqual(versions(), ['v1', 'v10']);
  });

  it('is refused for what is needed and for what is not there', () => {
    const inUse = () => new Map([['v1', 'is live']]);
    assert.throws(() => removeVersion('hello', 'v1', { places, inUse }), { code: 'BH422', message: /'v1' .* is live/ });
    assert.throws(() => removeVersion('hello', 'v3', { places, inUse }), { code: 'BH423' });
    assert.throws(() => removeVersion('other', 'v1', { places, inUse }), { code: 'BH423' });
    assert.throws(() => removeVersion('hello', '../hello', { places, inUse }), { code: 'BH423' });
    assert.deepEqual(versions(), ['by-hand', 'v1', 'v2', 'v10']);
  });

  it('of the old ones keeps the newest, what is needed, and what was not installed', () => {
    const inUse = () => new Map([['v1', 'is live']]);
    assert.deepEqual(removeOutlived('hello', 1, { places, inUse }), ['v2']);
    assert.deepEqual(versions(), ['by-hand', 'v1', 'v10']);
    assert.deepEqual(removeOutlived('hello', 1, { places, inUse }), []);
    assert.deepEqual(removeOutlived('other', 1, { places, inUse }), []);
    assert.ok(!existsSync(`${places.versions}/other`));
  });

  it('goes by the time of installation, and by name where that is the same', () => {
    const at = (version: string, installedAt: number) => ({
      version,
      record: { version, installedAt } as NonNullable<ReturnType<typeof installedVersion>>['record'],
    });
    const found = outlivedVersions([at('a', 5), at('b', 1), at('c', 5), at('d', 9)], new Set(), 2);
    assert.deepEqual(found, ['a', 'b']);
    assert.deepEqual(outlivedVersions([at('a', 5)], new Set(), 0), ['a']);
  });

  for (const step of ['rename', 'record', 'remove', 'done'] as const)
    it(`leaves no half of a version when it is killed before '${step}'`, async () => {
      const program = `
        import { removeVersion } from '${new URL('../../../src/install/remove-version.js', import.meta.url).href}';
        const step = (each) => each === '${step}' && process.kill(process.pid, 'SIGKILL');
        removeVersion('hello', 'v1', { places: ${JSON.stringify(places)}, inUse: () => new Map(), step });`;
      const { signal, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
        encoding: 'utf8',
      });
      assert.equal(signal, 'SIGKILL', stderr);
      const there = installedVersion('hello', 'v1', places);
      assert.equal(there?.record?.files, step === 'rename' ? 3 : undefined);
      if (step === 'rename') return;
      // Any later change clears what is left of it.
      removeVersion('hello', 'v2', { places, inUse: nobody });
      assert.deepEqual(readdirSync(`${places.versions}/hello`).sort(), ['by-hand', 'v10']);
      assert.deepEqual(readdirSync(`${places.records}/hello`).sort(), ['.lock', 'v10.json', 'v10.list']);
    });
});
