import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { SandboxStatus } from '../../../src/control/api.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import {
  declare,
  killSupervisor,
  must,
  readySandboxes,
  run,
  systemctl,
  uninstall,
  until,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';
import { expectWhole } from './audit-lab.ts';

const TREE = process.env.BULKHEAD_TREE ?? '/opt/bulkhead-test';
/** `BULKHEAD_SWITCHES=2000` for what is promised. */
const SWITCHES = Number(process.env.BULKHEAD_SWITCHES ?? 300);
const SANDBOXES = 10;
/** Between two looks of a reader; ten of them without a pause would leave nothing to others. */
const PAUSE_US = 500;
const PROGRAM = '/usr/lib/bulkhead/plugin-slot';

/** What a reader says at its end (native/test/follower.c). */
interface Seen {
  readonly looks: number;
  readonly missing: number;
  readonly failed: number;
  readonly mixed: number;
  readonly changes: number;
  readonly last: string;
}

forEachIsolation('the slot of a plugin that is upgraded in place', function (isolation) {
  this.timeout(300_000);
  const name = `slot-${isolation}`;
  const tunnel = `/run/bulkhead/slot/${name}/a`;
  const directory = (version: string) => `/opt/plugin/${name}/${version}`;

  /** A plugin whose program reads its directory all the time. */
  const start = async (size: number): Promise<SandboxStatus[]> => {
    for (const version of ['v1', 'v2']) {
      mkdirSync(directory(version), { recursive: true, mode: 0o755 });
      cpSync(`${TREE}/build/native/test/follower`, `${directory(version)}/main`);
      for (const file of ['x', 'y']) writeFileSync(`${directory(version)}/${file}`, `${version}\n`);
    }
    declare(name, [
      'template: native',
      'version: v1',
      `exec: [./main, /plugin, "${PAUSE_US}"]`,
      'health: { ready: exec }',
      `pool: { size: ${size} }`,
      'upgrade: { way: in-place }',
      'recovery: { budget: { restarts: 1000, within: 10min }, backoff: { initial: 10ms, max: 10ms, jitter: 0% } }',
    ]);
    await systemctl('start', `plugin@${name}`);
    return untilWhole(name, size);
  };

  const initsOf = (sandboxes: readonly SandboxStatus[]) => sandboxes.flatMap(({ initPid }) => initPid ?? []);

  /** What is mounted at the live place there; one line each. */
  const layers = (pid: number | 'self', place: string): string[] =>
    readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
      .split('\n')
      .filter((line) => line.split(' ')[4] === place);

  const versionIn = (pid: number) => readFileSync(`/proc/${pid}/root/run/slot/current/x`, 'utf8').trim();

  const switchTo = (version: string, ...words: string[]) =>
    must(PROGRAM, 'switch', tunnel, directory(version), ...words);

  /** To v2 and back so often, as one process after the other; ends with v1. */
  const switchOften = (times: number, words: readonly string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      const script = `set -e; for ((i = 0; i < ${times / 2}; i++)); do
          ${PROGRAM} switch ${tunnel} ${directory('v2')} ${words.join(' ')}
          ${PROGRAM} switch ${tunnel} ${directory('v1')} ${words.join(' ')}
        done`;
      execFile('bash', ['-c', script], { timeout: 250_000 }, (error, stdout) =>
        error === null ? resolve(stdout) : reject(error),
      );
    });

  /** Ends the plugin; what each of its readers, and of those before them, said. */
  const stop = async (): Promise<Seen[]> => {
    await systemctl('stop', `plugin@${name}`);
    await must('journalctl', '--sync');
    const pattern = `plugin-${name.replace('-', '\\x2d')}-a-g*`;
    const lines = (await must('journalctl', '--boot', '--output=cat', `--unit=${pattern}`)).split('\n');
    return lines.filter((line) => line.startsWith('{"looks"')).map((line) => JSON.parse(line) as Seen);
  };

  const isWhole = (seen: Seen) => seen.looks > 0 && seen.missing + seen.failed + seen.mixed === 0;

  afterEach(async () => {
    await uninstall(name);
    await until('its tunnel is cleared', () => layers('self', `${tunnel}/current`).length === 0);
    await run('journalctl', '--rotate');
    await run('journalctl', '--vacuum-time=1s');
  });

  it(`shows one version or the other in ${SANDBOXES} sandboxes through ${SWITCHES} switches, and stacks nothing`, async () => {
    const sandboxes = await start(SANDBOXES);
    const inits = initsOf(sandboxes);
    assert.equal(inits.length, SANDBOXES);
    await expectWhole(name);
    await switchOften(SWITCHES / 2, ['--way', 'beneath']);
    await switchOften(SWITCHES / 2, ['--way', 'tuck', ...inits.flatMap((pid) => ['--leader', String(pid)])]);
    for (const pid of inits) {
      const following = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').match(/^.* (shared|master):\d+ .*$/gm) ?? [];
      const places = following.map((line) => line.split(' ')[4]).sort();
      assert.deepEqual(places, ['/run/slot', '/run/slot/current'], 'nothing else follows the host');
      assert.equal(versionIn(pid), 'v1');
      assert.equal(layers(pid, '/run/slot/current').length, 1);
    }
    assert.equal(layers('self', `${tunnel}/current`).length, 1);
    await expectWhole(name);
    assert.deepEqual(initsOf(await readySandboxes(name)).sort(), inits.sort(), 'nobody was replaced');
    const seen = await stop();
    assert.equal(seen.length, SANDBOXES);
    assert.deepEqual(
      seen.filter((each) => !isWhole(each)),
      [],
    );
    const changes = seen.reduce((sum, each) => sum + each.changes, 0);
    const looks = seen.reduce((sum, each) => sum + each.looks, 0);
    process.stderr.write(`      ${looks} looks saw ${changes} of ${SANDBOXES * SWITCHES} changes\n`);
    assert.ok(changes > SWITCHES, `readers saw ${changes} changes only`);
  });

  it('shows those one version whole who start during switches', async () => {
    await start(2);
    let switching = true;
    const switches = (async () => {
      while (switching) await switchOften(10, []);
    })();
    try {
      for (let round = 0; round < 5; round++) {
        const [sandbox] = await untilWhole(name, 2);
        await must('kill', '-TERM', String(sandbox?.payloadPid));
        await untilReplaced(name, 2, sandbox?.unit ?? '');
      }
    } finally {
      switching = false;
      await switches;
    }
    await switchTo('v2');
    for (const pid of initsOf(await untilWhole(name, 2))) {
      assert.equal(versionIn(pid), 'v2');
      assert.equal(layers(pid, '/run/slot/current').length, 1);
    }
    await expectWhole(name);
    const seen = await stop();
    assert.ok(seen.length >= 7, `${seen.length} readers`);
    assert.deepEqual(
      seen.filter((each) => !isWhole(each)),
      [],
    );
  });

  it('keeps what is live over the end of a supervisor, for who is started later, too', async () => {
    const [before] = await start(1);
    await switchTo('v2');
    await killSupervisor();
    const [same] = await untilWhole(name, 1);
    assert.equal(same?.unit, before?.unit);
    await must('kill', '-KILL', String(same?.payloadPid));
    await untilReplaced(name, 1, same?.unit ?? '');
    const [next] = await untilWhole(name, 1);
    assert.equal(versionIn(next?.initPid ?? 0), 'v2');
    await systemctl('stop', `plugin@${name}`);
    await until('its tunnel is cleared', () => layers('self', `${tunnel}/current`).length === 0);
    await systemctl('start', `plugin@${name}`);
    const [again] = await untilWhole(name, 1);
    assert.equal(versionIn(again?.initPid ?? 0), 'v1');
  });

  it('can be written, unmounted and mounted anew by nobody inside', async () => {
    const [sandbox] = await start(1);
    const attempts = `
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def told(result):
    return errno.errorcode[ctypes.get_errno()] if result < 0 else "done"
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE = 1, 32, 4096, 8192
for place in (b"/run/slot/current", b"/run/slot"):
    print(told(libc.umount2(place, 2)), told(libc.mount(None, place, None, MS_REMOUNT | MS_BIND, None)),
          told(libc.mount(b"/tmp", place, None, MS_BIND, None)), told(libc.mount(place, b"/tmp", None, MS_MOVE, None)))
for path in ("/plugin/x", "/run/slot/new"):
    try:
        open(path, "w"); print("done")
    except OSError as problem:
        print(errno.errorcode[problem.errno])
`;
    for (const ids of [['--reuid=1000', '--regid=1000'], []]) {
      const { stdout, stderr } = await run(
        ...(['nsenter', '--target', String(sandbox?.initPid), '--all'] as const),
        ...['setpriv', '--clear-groups', ...ids, '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs'],
        ...['/usr/bin/python3', '-c', attempts],
      );
      const each = 'EPERM EPERM EPERM EPERM';
      assert.equal(stdout, `${each}\n${each}\nEROFS\nEROFS\n`, stderr);
    }
    assert.equal(versionIn(sandbox?.initPid ?? 0), 'v1');
  });
});
