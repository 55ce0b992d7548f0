import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { forEachIsolation, isolationNow } from '../support/isolation.ts';
import { HttpLoad, pause } from '../support/load.ts';
import {
  declare,
  killSupervisor,
  must,
  pidsOf,
  readySandboxes,
  status,
  systemctl,
  uninstall,
  until,
  untilWhole,
} from '../support/system.ts';
import { ctl, untilChange, untilOver } from './changes.ts';

const TREE = process.env.BULKHEAD_TREE ?? '/opt/bulkhead-test';
const SIZE = 2;
const BAKE_MS = 2000;
/** Upgrades there and back; `BULKHEAD_UPGRADES=200` for more. */
const UPGRADES = Number(process.env.BULKHEAD_UPGRADES ?? 4);

forEachIsolation('an upgrade in place', function () {
  this.timeout(120_000 + UPGRADES * 20_000);
  const name = () => `in-place-${isolationNow()}`;
  const port = () => (isolationNow() === 'nspawn' ? 9541 : 9542);
  const tunnel = () => `/run/bulkhead/slot/${name()}/a`;

  /** The program is the same in all; what it loads is not. One that is not whole cannot be loaded. */
  const install = (version: string, files: readonly string[]) => {
    const directory = `/opt/plugin/${name()}/${version}`;
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    cpSync(`${TREE}/reloading/main.py`, `${directory}/main.py`);
    for (const file of files) writeFileSync(`${directory}/${file}`, `${version}\n`, { mode: 0o644 });
  };

  const ask = (): string => execFileSync('curl', ['-sS', '--max-time', '10', `http://127.0.0.1:${port()}/`]).toString();

  /** What so many answers say: the version, with the pids inside of those who gave them. */
  const versions = (): string[] => [...new Set(Array.from({ length: 30 }, () => ask().split(' ')[0] ?? ''))];

  const live = async () => JSON.parse(await must('/usr/lib/bulkhead/plugin-slot', 'state', tunnel())) as unknown;

  const load = (keepAlive: boolean) =>
    new HttpLoad({ target: { host: '127.0.0.1', port: port() }, connections: 4, keepAlive, thinkMs: 2 });

  /** Runs it with a load on the plugin; no request of which may be lost. */
  const underLoad = async (work: () => Promise<void>) => {
    const loads = [load(false), load(true)];
    try {
      await Promise.all(loads.map((each) => each.more(50)));
      await work();
      await Promise.all(loads.map((each) => each.more(50)));
    } finally {
      const results = await Promise.all(loads.map((each) => each.stop()));
      for (const { lost, ok } of results) {
        assert.deepEqual(lost, []);
        assert.ok(ok >= 100);
      }
    }
  };

  const upgradeTo = async (version: string) => {
    const { status: code, stdout, stderr } = await ctl('upgrade', name(), version, '--json');
    return { code, outcome: (JSON.parse(stdout || '{}') as { outcome?: string }).outcome, stderr };
  };

  beforeEach(async () => {
    for (const version of ['v1', 'v2']) install(version, ['answer', 'again']);
    install('v3', ['answer']);
    declare(name(), [
      'template: python',
      'version: v1',
      `listen: [{ tcp: 127.0.0.1:${port()} }]`,
      'health: { ready: notify }',
      `pool: { size: ${SIZE} }`,
      `upgrade: { way: in-place, bake: ${BAKE_MS}ms, judge: { latency: infinity, memory: infinity } }`,
      'recovery: { budget: { restarts: 100, within: 1min } }',
    ]);
    await systemctl('start', `plugin@${name()}`);
    await untilWhole(name(), SIZE);
    assert.deepEqual(versions(), ['v1']);
  });

  afterEach(async () => {
    await uninstall(name());
    await until('its tunnel is cleared', () => !readFileSync('/proc/self/mountinfo', 'utf8').includes(tunnel()));
  });

  it(`loses nothing in ${UPGRADES} upgrades back and forth, and keeps the processes`, async () => {
    const before = await readySandboxes(name());
    await underLoad(async () => {
      for (let index = 1; index <= UPGRADES; index++) {
        const version = index % 2 === 1 ? 'v2' : 'v1';
        const { outcome, stderr } = await upgradeTo(version);
        assert.equal(outcome, 'promoted', stderr);
        assert.deepEqual(versions(), [version]);
        assert.equal((await status(name())).version, version);
        assert.deepEqual(await live(), { live: version, beneath: [] });
      }
      assert.equal((await ctl('rollback', name(), '--wait')).status, 0);
      assert.deepEqual(versions(), [UPGRADES % 2 === 1 ? 'v1' : 'v2']);
    });
    assert.deepEqual(pidsOf(await readySandboxes(name())), pidsOf(before));
  });

  it('is switched back when the new version cannot be loaded', async () => {
    const { outcome, code } = await upgradeTo('v3');
    assert.deepEqual([outcome, code === 0], ['rolled-back', false]);
    await untilWhole(name(), SIZE);
    assert.deepEqual(await live(), { live: 'v1', beneath: [] });
    assert.deepEqual(versions(), ['v1']);
    assert.equal((await status(name())).version, 'v1');
    const why = await must('bulkheadctl', 'why', name());
    assert.match(why, /v3/);
  });

  it('goes on when the supervisor is killed in it, and loses nothing by that', async () => {
    const before = await readySandboxes(name());
    await underLoad(async () => {
      const { status: code, stderr } = await ctl('upgrade', name(), 'v2', '--no-wait', '--bake', '10s');
      assert.equal(code, 0, stderr);
      await untilChange(name(), 'baking', ({ step }) => step === 'baking');
      await killSupervisor();
      assert.equal((await untilOver(name())).outcome, 'promoted');
      assert.deepEqual(versions(), ['v2']);
    });
    assert.deepEqual(pidsOf(await readySandboxes(name())), pidsOf(before));
    assert.deepEqual(await live(), { live: 'v2', beneath: [] });
  });

  it('is the version of those who are started in it and after it', async () => {
    assert.equal((await upgradeTo('v2')).outcome, 'promoted');
    const [one] = await readySandboxes(name());
    await must('kill', '-KILL', String(one?.payloadPid));
    await pause(200);
    await untilWhole(name(), SIZE);
    assert.deepEqual(versions(), ['v2']);
    await systemctl('restart', `plugin@${name()}`);
    await untilWhole(name(), SIZE);
    assert.deepEqual(versions(), ['v2']);
    assert.deepEqual(await live(), { live: 'v2', beneath: [] });
  });
});
