/** What is declared of upgrades, what a version says itself, and which version an upgrade has made live. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { NO_LIVE_RECORD } from '../../../src/base/live-record.ts';
import { LIVE_DIRECTORY, writeLiveRecord } from '../../../src/kernel/live-records.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import {
  declare,
  installExample,
  must,
  pidsOf,
  run,
  sandboxUnits,
  systemctl,
  uninstall,
  untilWhole,
} from '../../support/system.ts';

const NAME = 'versioned';
const PORT = 9161;
const FILE = `/etc/bulkhead/plugins/${NAME}.yaml`;

const BASE = ['template: python', `listen: [{ tcp: 127.0.0.1:${PORT} }]`];

/** One more version of the example that is installed as v1, with what it says itself. */
function addVersion(version: string, says?: string): void {
  const directory = `/opt/plugin/${NAME}/${version}`;
  if (version !== 'v1') cpSync(`/opt/plugin/${NAME}/v1`, directory, { recursive: true });
  rmSync(`${directory}/plugin.yaml`, { force: true });
  if (says !== undefined) writeFileSync(`${directory}/plugin.yaml`, says, { mode: 0o644 });
}

/** As if an upgrade had made the version live while the declaration said another one. */
function commit(version: string, declared: string): void {
  const committed = { version, previous: declared, declared, at: Date.UTC(2026, 10, 26), by: 'uid 0' };
  writeLiveRecord(NAME, { ...NO_LIVE_RECORD, committed });
}

const OF_UPGRADE = [
  'version v2 # upgrade of 2026-11-26 by uid 0',
  `/plugin /opt/plugin/${NAME}/v2, read-only # upgrade of 2026-11-26 by uid 0`,
];

function environmentOf(pid: number): readonly string[] {
  return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
}

async function startWhole(size = 1): Promise<readonly string[]> {
  await systemctl('start', `plugin@${NAME}`);
  const [pid = 0] = pidsOf(await untilWhole(NAME, size));
  return environmentOf(pid);
}

/** Lines of `bulkheadctl plan` with this word in them. */
async function planned(word: string): Promise<readonly string[]> {
  const plan = await must('bulkheadctl', 'plan', NAME);
  return plan
    .split('\n')
    .map((line) => line.trim().replace(/ {2,}/g, ' '))
    .filter((line) => line.includes(word));
}

async function removeAll(): Promise<void> {
  await uninstall(NAME);
  rmSync(`${LIVE_DIRECTORY}/${NAME}.json`, { force: true });
}

forEachIsolation('a version', function () {
  this.timeout(180_000);

  beforeEach(() => installExample(NAME, 'python', [...BASE, 'version: v1']));

  afterEach(removeAll);

  it('says itself how its program is called, what is in its environment, and when it is well', async () => {
    addVersion(
      'v1',
      'exec: [/usr/bin/python3, -O, main.py]\nenvironment: { FROM: version, ONLY: version }\nhealth: { startup: { http: / } }\n',
    );
    declare(NAME, [...BASE, 'version: v1', 'environment: { FROM: declaration }']);
    const environment = await startWhole();
    assert.ok(environment.includes('ONLY=version') && environment.includes('FROM=declaration'), environment.join(' '));
    assert.deepEqual(await planned('health.startup'), [
      `health.startup http / every 1s, until start-timeout, 1s for the answer # /opt/plugin/${NAME}/v1/plugin.yaml:3:20`,
    ]);
    const [pid = 0] = pidsOf(await untilWhole(NAME, 1));
    assert.match(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), /\0-O\0main\.py/);
  });

  it('is started with everything that can be declared of upgrades', async () => {
    declare(NAME, [
      ...BASE,
      'version: v1',
      'upgrade:',
      '  canary: [1%, 50%]',
      '  bake: 5s',
      '  drain: 10s',
      '  surge: 50%',
      '  judge: { samples: 9, few: wait, wait-most: 1min, errors: 2%, latency: infinity, memory: 9%, deaths: 1 }',
      '  check: [/usr/bin/true]',
      '  check-timeout: 9s',
      'versions: { keep: 9 }',
    ]);
    assert.equal(await must('bulkheadctl', 'check', NAME), `${NAME}: ok\n`);
    await startWhole();
    assert.deepEqual(await planned('upgrade.canary'), [`upgrade.canary 1%, 50% # ${FILE}:5:11`]);
    assert.deepEqual(await planned('upgrade.way'), ['upgrade.way beside # built-in default']);
  });

  it('that is upgraded in place is seen through the tunnel of its slot, which is as planned', async () => {
    declare(NAME, [...BASE, 'version: v1', 'upgrade: { way: in-place, signal: SIGUSR1 }']);
    const environment = await startWhole();
    assert.ok(!environment.some((word) => word.startsWith('BULKHEAD_VERSION=')), environment.join(' '));
    const [pid = 0] = pidsOf(await untilWhole(NAME, 1));
    assert.equal(readlinkSync(`/proc/${pid}/root/plugin`), 'run/slot/current');
    assert.equal(
      statSync(`/proc/${pid}/root/run/slot/current/main.py`).ino,
      statSync(`/opt/plugin/${NAME}/v1/main.py`).ino,
    );
    assert.deepEqual(await planned('/run/slot /'), [
      `/run/slot /run/bulkhead/slot/${NAME}/a, read-only, and what is mounted in it later # ${FILE}:4:17`,
    ]);
    const audit = await run('bulkheadctl', 'audit', NAME);
    assert.equal(audit.status, 0, audit.stdout);
    addVersion('v2');
    declare(NAME, [...BASE, 'version: v2', 'upgrade: { way: in-place, signal: SIGUSR1 }']);
    assert.deepEqual(await planned('; a reload'), ['version: v1 becomes v2; a reload switches it under what runs']);
  });

  it('that says what is not for it to say does not run, and the plugin starts with another one', async () => {
    addVersion('v1', 'environment: { A: b }\nnetwork: host\n');
    addVersion('v2');
    const { stdout, status } = await run('bulkheadctl', 'check', NAME);
    assert.match(stdout, new RegExp(`^/opt/plugin/${NAME}/v1/plugin\\.yaml:2:1: BH120 'network' is not for a version`));
    assert.equal(status, 1);
    assert.equal((await run('systemctl', 'start', `plugin@${NAME}`)).status, 1);
    assert.deepEqual(await sandboxUnits(NAME), []);
    declare(NAME, [...BASE, 'version: v2']);
    assert.ok((await startWhole()).includes('BULKHEAD_VERSION=v2'));
  });
});

describe('the version in force', function () {
  this.timeout(180_000);

  beforeEach(() => {
    installExample(NAME, 'python', [...BASE, 'version: v1']);
    for (const version of ['v2', 'v3']) addVersion(version);
  });

  afterEach(removeAll);

  it('is that of the upgrade, until the declaration names another one', async () => {
    commit('v2', 'v1');
    assert.ok((await startWhole()).includes('BULKHEAD_VERSION=v2'));
    assert.deepEqual(await planned('upgrade of'), OF_UPGRADE);
    await systemctl('stop', `plugin@${NAME}`);
    declare(NAME, [...BASE, 'version: v3']);
    assert.ok((await startWhole()).includes('BULKHEAD_VERSION=v3'));
  });

  it('can come from a template', async () => {
    mkdirSync('/etc/bulkhead/templates', { recursive: true });
    writeFileSync('/etc/bulkhead/templates/with-version.yaml', 'version: v2\n', { mode: 0o644 });
    try {
      declare(NAME, ['template: [python, with-version]', `listen: [{ tcp: 127.0.0.1:${PORT} }]`]);
      assert.ok((await startWhole()).includes('BULKHEAD_VERSION=v2'));
    } finally {
      rmSync('/etc/bulkhead/templates/with-version.yaml');
    }
  });

  it('is known without a supervisor, too', async () => {
    commit('v2', 'v1');
    await systemctl('stop', 'bulkheadd');
    try {
      assert.deepEqual(await planned('upgrade of'), OF_UPGRADE);
      assert.equal(await must('bulkheadctl', 'check', NAME), `${NAME}: ok\n`);
      rmSync(`/opt/plugin/${NAME}/v2`, { recursive: true });
      const { stdout } = await run('bulkheadctl', 'check', NAME);
      assert.match(stdout, /^upgrade of 2026-11-26 by uid 0: BH201 version 'v2' is not installed/);
    } finally {
      await systemctl('start', 'bulkheadd');
    }
  });

  it('is not guessed when the record of upgrades is damaged', async () => {
    commit('v2', 'v1');
    writeFileSync(`${LIVE_DIRECTORY}/${NAME}.json`, 'v3');
    const { stdout, status } = await run('bulkheadctl', 'check', NAME);
    assert.match(stdout, new RegExp(`^${LIVE_DIRECTORY}/${NAME}\\.json:1:1: BH210 `));
    assert.equal(status, 1);
    assert.equal((await run('systemctl', 'start', `plugin@${NAME}`)).status, 1);
    assert.deepEqual(await sandboxUnits(NAME), []);
  });

  it('says nothing by a link', async () => {
    symlinkSync('/etc/shadow', `/opt/plugin/${NAME}/v1/plugin.yaml`);
    const { stdout } = await run('bulkheadctl', 'check', NAME);
    assert.equal(stdout, `/opt/plugin/${NAME}/v1/plugin.yaml:1:1: BH113 it is a link, and only a file counts here\n`);
  });
});

describe('what differs from what runs', function () {
  this.timeout(180_000);

  afterEach(removeAll);

  it('is told with the way in which a reload applies it, and is applied so', async () => {
    installExample(NAME, 'python', [...BASE, 'version: v1', 'limits: { tasks: 40 }']);
    addVersion('v2');
    await startWhole();
    const [unit = ''] = await sandboxUnits(NAME);
    const changed = ['pool: { size: 2 }', 'limits: { tasks: 44 }', 'upgrade: { canary: [] }'];
    declare(NAME, [...BASE, 'version: v1', ...changed]);
    assert.deepEqual(await planned('; a reload'), [
      'pool.size: 1 becomes 2; a reload puts it in force at once',
      'upgrade.canary: 5%, 25% becomes all at once; a reload puts it in force at once',
      'limits.tasks: 40 becomes 44; a reload sets it on what runs',
    ]);
    await systemctl('reload', `plugin@${NAME}`);
    await untilWhole(NAME, 2);
    assert.deepEqual(await planned('; a reload'), []);
    assert.ok((await sandboxUnits(NAME)).includes(unit), 'it was replaced');
    declare(NAME, [...BASE, 'version: v2', ...changed]);
    assert.deepEqual(await planned('; a reload'), [
      'version: v1 becomes v2; a reload starts new sandboxes beside the old ones',
    ]);
  });
});
