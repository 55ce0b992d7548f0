import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { HttpLoad } from '../../support/load.ts';
import {
  declare,
  installExample,
  must,
  pidsOf,
  run,
  sandboxUnits,
  systemctl,
  UPGRADED_AT_ONCE,
  uninstall,
  until,
  untilWhole,
} from '../../support/system.ts';

const UNIT = 'bulkhead-spawner.service';
const PORT = 9171;

describe('the spawner', function () {
  this.timeout(180_000);
  const name = `spawned${Date.now().toString(36)}`;

  beforeEach(async () => {
    installExample(name, 'c', declaration('v1'));
    await systemctl('start', `plugin@${name}`);
    await untilWhole(name, 2);
  });
  afterEach(() => uninstall(name));

  const declaration = (version: string) => [
    'template: native',
    `version: ${version}`,
    'isolation: scope',
    `listen: [{ tcp: 127.0.0.1:${PORT} }]`,
    'pool: { size: 2 }',
    UPGRADED_AT_ONCE,
    'recovery: { budget: { restarts: 50, within: 60s } }',
  ];
  const spawner = async () => Number((await systemctl('show', '-P', 'MainPID', UNIT)).trim());
  const back = (before: number) =>
    until('the next spawner', async () => {
      const pid = await spawner();
      return pid > 0 && pid !== before && (await run('systemctl', 'is-active', UNIT)).status === 0;
    });
  const load = () => new HttpLoad({ target: { host: '127.0.0.1', port: PORT }, connections: 4, keepAlive: false });

  for (const [how, act] of [
    ['restarted', () => systemctl('restart', UNIT)],
    ['killed', () => systemctl('kill', '-s', 'KILL', UNIT)],
    ['killed, and only its first process,', async () => process.kill(await spawner(), 'SIGKILL')],
  ] as const) {
    it(`may be ${how} without any harm to what runs, and makes the next sandboxes`, async () => {
      const before = pidsOf(await untilWhole(name, 2));
      const pid = await spawner();
      const requests = load();
      await requests.more(100);
      await act();
      await back(pid);
      await requests.more(100);
      assert.deepEqual((await requests.stop()).lost, []);
      assert.deepEqual(pidsOf(await untilWhole(name, 2)), before);
      const [victim = 0] = before;
      process.kill(victim, 'SIGKILL');
      await until('a new one', async () => !pidsOf(await untilWhole(name, 2)).includes(victim));
    });
  }

  it('may be killed amid starts, which leaves nothing and is made good', async () => {
    for (let i = 0; i < 8; i++) {
      await systemctl('stop', `plugin@${name}`);
      const pid = await spawner();
      const started = systemctl('start', `plugin@${name}`);
      await new Promise((settle) => setTimeout(settle, 12 * i));
      await systemctl('kill', '-s', 'KILL', UNIT);
      await started;
      await back(pid);
      await untilWhole(name, 2);
      assert.equal((await sandboxUnits(name)).length, 2);
    }
    await systemctl('stop', `plugin@${name}`);
    assert.deepEqual(await sandboxUnits(name), []);
    assert.equal((await run('pgrep', '-f', `BULKHEAD_PLUGIN=${name}`)).stdout, '');
  });

  it('sees what is mounted after it was started', async () => {
    const directory = `/opt/plugin/${name}/v2`;
    mkdirSync(directory, { mode: 0o755 });
    await must('mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', directory);
    try {
      cpSync(`/opt/plugin/${name}/v1`, directory, { recursive: true });
      const before = pidsOf(await untilWhole(name, 2));
      declare(name, declaration('v2'));
      await systemctl('reload', `plugin@${name}`);
      await until('two of the new version', async () => {
        const ready = await untilWhole(name, 2);
        return ready.every(({ version, payloadPid }) => version === 'v2' && !before.includes(payloadPid ?? 0));
      });
      const [one] = await untilWhole(name, 2);
      const mounts = readFileSync(`/proc/${one?.payloadPid}/mountinfo`, 'utf8');
      assert.match(mounts, /^\S+ \S+ \S+ \/ \/plugin ro,nosuid,nodev,\S+ - tmpfs /m);
      await systemctl('stop', `plugin@${name}`);
    } finally {
      await must('umount', directory);
      rmSync(directory, { recursive: true });
    }
  });

  it('holds nothing of sandboxes, and leaves no mount on the host', async () => {
    const pid = await spawner();
    /** The place of the plugin's activity pages, which comes and goes with the plugin. */
    const pages = ` /run/bulkhead/activity/${name} `;
    const mountsOf = (one: number | 'self') => readFileSync(`/proc/${one}/mountinfo`, 'utf8').split('\n');
    const besidePages = (one: number | 'self') => mountsOf(one).filter((line) => !line.includes(pages));
    const facts = () => ({
      mounts: besidePages('self'),
      own: besidePages(pid),
      descriptors: readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`)),
    });
    const alone = () =>
      until('its group to be without others', async () => {
        const group = (await systemctl('show', '-P', 'ControlGroup', UNIT)).trim();
        return readFileSync(`/sys/fs/cgroup${group}/cgroup.procs`, 'utf8') === `${pid}\n`;
      });
    await alone();
    const before = facts();
    await systemctl('restart', `plugin@${name}`);
    await untilWhole(name, 2);
    await alone();
    assert.deepEqual(facts(), before);
    await systemctl('stop', `plugin@${name}`);
    assert.deepEqual(facts(), before);
    await until('the place of pages is gone', () => !mountsOf('self').some((line) => line.includes(pages)));
  });

  it('lets nobody but root connect', async () => {
    const script = "import socket; socket.socket(socket.AF_UNIX).connect('/run/bulkhead/spawn.sock')";
    const nobody = await run('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'python3', '-c', script);
    assert.match(nobody.stderr, /PermissionError/);
    assert.equal((await run('python3', '-c', script)).status, 0);
  });
});
