import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../../../src/base/failure.ts';
import { beginUpgrade, commitUpgrade, NO_LIVE_RECORD } from '../../../src/base/live-record.ts';
import type { VersionRecord } from '../../../src/base/version-record.ts';
import { runCommandLine } from '../../../src/control/run.ts';
import { VERBS } from '../../../src/control/verb-table.ts';
import type { VersionStatus } from '../../../src/control/version-store.ts';
import { versionRoles, whyNeeded } from '../../../src/control/version-uses.ts';
import { FakeManager } from './support/fake-manager.ts';
import { FakeWorld } from './support/fake-world.ts';

const RECORD: VersionRecord = {
  version: 'v2',
  kind: 'directory',
  digest: '0123456789abcdef'.repeat(4),
  files: 3,
  bytes: 2048,
  installedAt: 0,
  by: 'uid 0',
  source: '/tmp/x',
};

describe('bulkheadctl install, versions and remove', () => {
  let world: FakeWorld;
  let manager: FakeManager;
  let told: string[];
  let changed: boolean;
  let old: string[];

  beforeEach(() => {
    manager = new FakeManager();
    world = new FakeWorld(manager);
    [told, changed, old] = [[], true, []];
    world.versions = {
      install: async (_plugin, _source, version) => ({ record: { ...RECORD, version }, changed }),
      list: () => LISTED,
      remove: (_plugin, version) => {
        if (version === 'v1') throw new Failure('BH422', "'v1' of 'hello' is live");
      },
      removeOld: () => old,
      tell: (plugin, text) => told.push(`${plugin}: ${text}`),
    };
  });

  const run = async (...words: string[]): Promise<string> => {
    world.out.text = '';
    world.err.text = '';
    const ended = await runCommandLine(words, VERBS, world);
    return `${ended} ${world.out.text}${world.err.text}`;
  };

  it('install, tell the supervisor, and remove what is old by then', async () => {
    old = ['v0'];
    assert.equal(
      await run('install', 'hello', '/tmp/x', '--version', 'v2'),
      '0 hello v2 is installed: sha256 0123456789abcdef, 3 entries, 2K\nRemoved: v0\n',
    );
    assert.deepEqual(manager.controlled, ['installed hello v2', 'removed hello v0']);
    assert.deepEqual(told, []);
    changed = false;
    old = [];
    assert.match(await run('install', 'hello', '/tmp/x', '--version=v2'), /^0 hello v2 was installed already/);
    assert.equal(manager.controlled.length, 2);
    const json = JSON.parse((await run('install', 'hello', '/tmp/x', '--version', 'v2', '--json')).slice(2));
    assert.deepEqual(json, { plugin: 'hello', changed: false, ...RECORD, removed: [] });
  });

  it('install without a supervisor, and tell the journal', async () => {
    world.supervisor = undefined;
    assert.match(await run('install', 'hello', '/tmp/x', '--version', 'v2'), /^0 hello v2 is installed/);
    assert.deepEqual(told, ['hello: version v2 installed']);
    assert.equal(world.err.text, '');
  });

  it('want a version, and a name that can be one', async () => {
    assert.match(await run('install', 'hello', '/tmp/x'), /^2 .*BH401.*--version VERSION/);
    assert.match(
      await run('install', 'hello', '/tmp/x', '--version', '../x'),
      /^2 .*BH401.*'\.\.\/x' cannot be the name/,
    );
    assert.match(await run('install', 'hello'), /^2 .*BH401.*needs SOURCE/);
    assert.match(await run('install', '../x', '/tmp/x', '--version', 'v2'), /^2 .*BH109/);
    assert.match(await run('remove', 'hello'), /^2 .*BH401.*either a VERSION or '--old'/);
    assert.match(await run('remove', 'hello', 'v2', '--old'), /^2 .*BH401/);
  });

  it('remove what nobody needs', async () => {
    assert.equal(await run('remove', 'hello', 'v2'), '0 Removed: v2\n');
    assert.match(await run('remove', 'hello', 'v1'), /^1 .*BH422 the version is needed: 'v1' of 'hello' is live/);
    assert.equal(await run('remove', 'hello', '--old'), '0 Nothing is old.\n');
    old = ['a', 'b'];
    assert.equal(await run('remove', 'hello', '--old'), '0 Removed: a, b\n');
    assert.deepEqual(manager.controlled, ['removed hello v2', 'removed hello a', 'removed hello b']);
  });

  it('list what there is, and what is wrong with it', async () => {
    const text = await run('versions', 'hello');
    assert.match(text, /VERSION +STATE +DIGEST +SIZE +INSTALLED +BY/);
    assert.match(text, /v2 +live +0123456789abcdef +2K +1970-01-01 .* +uid 0\n/);
    assert.match(text, /by-hand +- +no digest +- +- +-\n/);
    assert.match(text, /v3 +failed +0123456789abcdef/);
    assert.match(text, /v3 +BH304 it \\x1b\[31mdied\n/);
    assert.match(text, /odd +damaged +no digest/);
    const json = JSON.parse((await run('versions', 'hello', '--json')).slice(2));
    assert.deepEqual(json, { plugin: 'hello', versions: LISTED });
  });

  it('know a plugin that nobody has heard of', async () => {
    world.versions = { ...world.versions, list: () => [] };
    assert.match(await run('versions', 'helo'), /^4 .*BH404/);
    assert.match(await run('versions', 'hello'), /^0 No version is installed/);
  });
});

const LISTED: readonly VersionStatus[] = [
  { version: 'by-hand', kind: 'directory', roles: [], failed: null, record: null, damage: null },
  { version: 'odd', kind: 'directory', roles: [], failed: null, record: null, damage: "'/x/odd.json': no record" },
  { version: 'v2', kind: 'directory', roles: ['live', 'running'], failed: null, record: RECORD, damage: null },
  {
    version: 'v3',
    kind: 'directory',
    roles: [],
    failed: { at: 5, code: 'BH304', text: 'it \u001b[31mdied' },
    record: { ...RECORD, version: 'v3' },
    damage: null,
  },
];

describe('what versions are needed for', () => {
  let run: string;

  beforeEach(() => {
    run = mkdtempSync(join(tmpdir(), 'run-'));
    mkdirSync(`${run}/plugin`);
    mkdirSync(`${run}/sandbox`);
  });

  afterEach(() => rmSync(run, { recursive: true }));

  it('is nothing where nothing is known', () => {
    assert.deepEqual([...versionRoles('hello', NO_LIVE_RECORD, undefined, run)], []);
    assert.deepEqual([...versionRoles('hello', NO_LIVE_RECORD, undefined, `${run}/none`)], []);
  });

  it('comes from upgrades, the declaration, the plan in force, and what runs', () => {
    const committed = { version: 'v2', previous: 'v1', declared: 'v1', at: 1, by: 'uid 0' };
    const record = beginUpgrade(commitUpgrade(NO_LIVE_RECORD, committed), { version: 'v3', since: 2 });
    const state = {
      phase: 'on',
      plan: { version: 'v2' },
      previous: { version: 'v0' },
      upgrade: { plan: { version: 'v4' } },
    };
    writeFileSync(`${run}/plugin/hello.json`, JSON.stringify(state));
    writeFileSync(`${run}/sandbox/one.json`, JSON.stringify({ plugin: 'hello', version: 'v9' }));
    writeFileSync(`${run}/sandbox/two.json`, JSON.stringify({ plugin: 'other', version: 'v8' }));
    const roles = versionRoles('hello', record, 'v1', run);
    assert.deepEqual(
      [...roles],
      [
        ['v2', ['live']],
        ['v1', ['previous']],
        ['v0', ['previous']],
        ['v3', ['under way']],
        ['v4', ['under way']],
        ['v9', ['running']],
      ],
    );
    assert.equal(whyNeeded(roles).get('v9'), 'is what a sandbox runs');
    assert.equal(whyNeeded(versionRoles('hello', record, 'v7', run)).get('v7'), 'is live', 'edited since');
  });

  it('is nothing but what runs once nothing declares the plugin, and it has ended', () => {
    const state = { plan: { version: 'v2' }, previous: { version: 'v1' } };
    const roles = (phase: string) => {
      writeFileSync(`${run}/plugin/hello.json`, JSON.stringify({ ...state, phase }));
      return [...versionRoles('hello', undefined, undefined, run)];
    };
    assert.deepEqual(roles('off'), []);
    assert.deepEqual(roles('on'), [
      ['v2', ['live']],
      ['v1', ['previous']],
    ]);
    // Where it is declared it may be started again, and gone back from.
    writeFileSync(`${run}/plugin/hello.json`, JSON.stringify({ ...state, phase: 'off' }));
    assert.deepEqual(
      [...versionRoles('hello', NO_LIVE_RECORD, 'v2', run)].map(([version]) => version),
      ['v2', 'v1'],
    );
  });

  it('is not known when a file of it cannot be read', () => {
    writeFileSync(`${run}/sandbox/one.json`, '{');
    assert.throws(() => versionRoles('hello', NO_LIVE_RECORD, undefined, run), SyntaxError);
  });
});
