import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { INCIDENT_DIRECTORY } from '../../../src/record/incidents.ts';
import { parseStoredIncident, type StoredIncident } from '../../../src/record/stored-incident.ts';
import { declare, must, systemctl, uninstall, until } from '../../support/system.ts';

/** What a lab may lack: a kernel whose core_pattern is its own. */
describe('core dumps', function () {
  this.timeout(300_000);

  const NAME = 'crasher';

  before(async () => {
    // The test machine does without this at its boot.
    await must('/usr/lib/systemd/systemd-sysctl');
    await systemctl('start', 'systemd-coredump.socket');
  });
  afterEach(() => uninstall(NAME));

  /** The payload, found without asking the supervisor, which takes its time on an emulated machine. */
  function shell(): number {
    const slice = `/sys/fs/cgroup/plugin.slice/plugin-${NAME}.slice`;
    const pids = readdirSync(slice, { encoding: 'utf8' })
      .filter((name) => name.endsWith('.service'))
      .flatMap((name) => readFileSync(`${slice}/${name}/payload/cgroup.procs`, 'utf8').trim().split('\n'));
    const found = pids.find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sh\n');
    assert.ok(found !== undefined, `none of ${pids.join(', ')} is the shell`);
    return Number(found);
  }

  /** Crashes a payload that may dump so much; the whole incident, and the core dumps that are with it. */
  async function crash(core: string): Promise<{ stored: StoredIncident; cores: string[] }> {
    const before = new Set(readdirSync(INCIDENT_DIRECTORY));
    const exec = 'exec: [/bin/sh, -c, "while :; do sleep 1; done"]';
    declare(NAME, ['template: native', exec, `limits: { core: ${core} }`]);
    await systemctl('start', `plugin@${NAME}`);
    process.kill(shell(), 'SIGSEGV');
    let directory = '';
    let stored: StoredIncident | undefined;
    const isWhole = (): boolean => {
      const id = readdirSync(INCIDENT_DIRECTORY).find((name) => !before.has(name));
      directory = `${INCIDENT_DIRECTORY}/${id}`;
      const file = `${directory}/incident.json`;
      // The directory is there a moment before.
      stored = existsSync(file) ? parseStoredIncident(readFileSync(file, 'utf8')) : undefined;
      return stored?.evidence === 'whole';
    };
    await until('the bundle is whole', isWhole, 120_000);
    assert.ok(stored !== undefined);
    const cores = readdirSync(directory).filter((name) => name.startsWith('core'));
    return { stored, cores: cores.map((name) => `${directory}/${name}`) };
  }

  it('are kept with the incident, under a name that says whose they are', async () => {
    const { stored, cores } = await crash('infinity');
    assert.equal(stored.incident.verdict.kind, 'SIGSEGV');
    assert.equal(cores.length, 1, stored.missing.join('; '));
    assert.match(cores[0] ?? '', /\/core\.crasher\.none\.none\.\d+(\.zst)?$/);
    const { mode, size, uid } = statSync(cores[0] ?? '');
    assert.deepEqual([mode & 0o777, uid], [0o600, 0]);
    assert.ok(size > 1000, `${size} bytes`);
  });

  it('are none where none is declared, and none is waited for', async () => {
    const { stored, cores } = await crash('0');
    assert.deepEqual(cores, []);
    assert.equal(stored.core, null);
    assert.doesNotMatch(stored.missing.join('; '), /core dump/);
  });
});
