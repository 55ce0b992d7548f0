/** What a local user without rights can do to the supervisor over D-Bus and its own sockets: nothing. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MANAGER_NAME } from '../../../src/control/wire-names.ts';
import { unitPath } from '../../../src/systemd/unit-path.ts';
import { HttpLoad, pause } from '../../support/load.ts';
import {
  installExample,
  must,
  pidsOf,
  procStatus,
  readySandboxes,
  run,
  status,
  supervisorPid,
  systemctl,
  uninstall,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';

const NOBODY = { uid: 65534, gid: 65534 };
/** A user whom the rule of polkit below allows something; one of the system's own, so that none has to be made. */
const GAMES = { uid: 5, gid: 60 };
const PREY = 'prey';
const PORT = 9161;
const RUBBISH_CALLS = 10_000;
const CONNECTIONS = 2000;
/** What the supervisor's memory (KiB) stays below through all of it. */
const MOST_KB = 256 * 1024;

interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

function as(who: { uid: number; gid: number }, file: string, ...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(file, args, { encoding: 'utf8', timeout: 60_000, cwd: '/', ...who }, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 255;
      resolve({ status: code, out, err });
    });
  });
}

/** Runs one of the programs beside this file as nobody; what it printed. */
async function program(name: string, ...args: readonly string[]): Promise<string> {
  const path = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const { status: exit, out, err } = await as(NOBODY, process.execPath, path, ...args);
  assert.equal(exit, 0, `${name} ${args.join(' ')}: ${err}`);
  return out;
}

/** All connections that the supervisor has to the system bus. */
async function uniqueNames(): Promise<string[]> {
  const pid = await supervisorPid();
  const list = JSON.parse(await must('busctl', '--json=short', 'list')) as { name: string; pid: number | null }[];
  return list.filter((row) => row.pid === pid && row.name.startsWith(':')).map(({ name }) => name);
}

describe('a user without rights', function () {
  this.timeout(180_000);
  let load: HttpLoad;
  let supervisor = 0;
  let payloads: number[] = [];
  /** Counted since the boot of the machine. */
  let restarts = 0;

  before(async () => {
    installExample(PREY, 'c', [
      'template: native',
      'version: v1',
      `listen: [{ tcp: 127.0.0.1:${PORT} }]`,
      'pool: { size: 2 }',
    ]);
    await systemctl('start', `plugin@${PREY}`);
    payloads = pidsOf(await untilWhole(PREY, 2));
    restarts = (await status(PREY)).restarts.total;
    load = new HttpLoad({ target: { host: '127.0.0.1', port: PORT }, connections: 2, keepAlive: false, thinkMs: 5 });
  });

  beforeEach(async () => {
    supervisor = await supervisorPid();
  });

  // Whatever was tried: the same supervisor, the same payloads, nothing restarted, nothing lost.
  afterEach(async () => {
    await load.more(5);
    assert.equal(load.lost, 0);
    assert.equal(await supervisorPid(), supervisor);
    const { state, restarts: now } = await status(PREY);
    assert.deepEqual({ state, restarts: now.total }, { state: 'running', restarts });
    assert.deepEqual(pidsOf(await readySandboxes(PREY)), payloads);
    assert.equal((await systemctl('is-active', `plugin@${PREY}`)).trim(), 'active');
    const memoryKb = Number.parseInt(procStatus(supervisor, 'VmRSS'), 10);
    assert.ok(memoryKb < MOST_KB, `the supervisor has ${memoryKb} KiB`);
  });

  after(async () => {
    await load.stop();
    await uninstall(PREY);
  });

  it('is refused every method that changes something, with the reason', async () => {
    const results = JSON.parse(await program('control-nobody', 'refusals', PREY)) as Record<
      string,
      { name: string; text: string }
    >;
    for (const method of ['StartPlugin', 'StopPlugin', 'RestartPlugin']) {
      assert.equal(results[method]?.name, 'org.bulkhead.Error.BH403', method);
      assert.match(results[method]?.text ?? '', /'org\.bulkhead\.manage' for user 65534: ./);
    }
    assert.equal(results.takeName?.name, 'org.freedesktop.DBus.Error.AccessDenied');
    for (const [what, { name, text }] of Object.entries(results)) {
      assert.notEqual(name, 'ok', what);
      assert.ok(text.length > 10, `${what} is refused without a reason: '${text}'`);
    }
  });

  it('is refused by bulkheadctl and by systemctl, with the reason', async () => {
    for (const verb of ['start', 'stop', 'restart']) {
      const { status: exit, err } = await as(NOBODY, 'bulkheadctl', verb, PREY);
      assert.equal(exit, 5, err);
      assert.match(err, /^bulkheadctl: BH403 not authorised: 'org\.bulkhead\.manage' for user 65534: /);
    }
    const [sandbox] = await readySandboxes(PREY);
    const units = [`plugin@${PREY}`, sandbox?.unit ?? '', 'bulkheadd'];
    for (const unit of units) {
      const { status: exit, err } = await as(NOBODY, 'systemctl', '--no-ask-password', 'stop', unit);
      assert.notEqual(exit, 0, unit);
      assert.match(err, /Interactive authentication required|Access denied/);
    }
  });

  it('gets an answer to each of ten thousand rubbish calls, and no more', async () => {
    const answers = JSON.parse(await program('control-nobody', 'rubbish', PREY, String(RUBBISH_CALLS))) as Record<
      string,
      number
    >;
    const sum = Object.values(answers).reduce((total, count) => total + count, 0);
    assert.equal(sum, RUBBISH_CALLS, JSON.stringify(answers));
    // Every call was answered, none by a defect or by silence.
    for (const bad of ['org.bulkhead.Error.BH406', 'BH501', 'BH502', 'BH503', 'org.freedesktop.DBus.Error.NoReply']) {
      assert.equal(answers[bad], undefined, JSON.stringify(answers));
    }
    // Reading events is allowed to everybody, and is one of the ten kinds; nothing else has an answer.
    assert.ok((answers.ok ?? 0) <= RUBBISH_CALLS / 10, JSON.stringify(answers));
    for (const reason of ['BH403', 'BH109'])
      assert.ok((answers[`org.bulkhead.Error.${reason}`] ?? 0) > 0, JSON.stringify(answers));
  });

  it('cannot exhaust it with two thousand connections', async () => {
    const { letIn } = JSON.parse(await program('hostile-user-flood', String(CONNECTIONS), '50')) as { letIn: number };
    // The bus itself lets in only so many of one user at once; most have to have come through.
    assert.ok(letIn > CONNECTIONS / 2, `only ${letIn} of ${CONNECTIONS} were let in`);
    assert.equal((await run('bulkheadctl', 'list')).status, 0);
  });

  /** Everything at once that a stranger can send to the supervisor as if it came from systemd or the bus. */
  async function spoof(): Promise<void> {
    const victims = await uniqueNames();
    const units = [`plugin@${PREY}.service`, ...(await readySandboxes(PREY)).map(({ unit }) => unit)];
    const programs = victims.flatMap((victim) => [
      ['h-signal', victim],
      ['h-call', victim],
      ['name-owner-changed', victim],
      ...units.map((unit) => ['properties-changed', victim, unitPath(unit)]),
      ...units.map((unit) => ['job-removed', victim, '/org/freedesktop/systemd1/job/1', unit]),
    ]);
    await Promise.all(programs.map((words) => program('systemd-door-hostile', ...words)));
  }

  it('cannot make it believe that something ended, nor end it with a message', async () => {
    assert.ok((await uniqueNames()).length >= 1);
    await spoof();
    await pause(600);
  });

  it('nor when it has to listen to systemd on the bus', async () => {
    const directory = '/run/systemd/system/bulkheadd.service.d';
    mkdirSync(directory, { recursive: true });
    writeFileSync(`${directory}/bus-only.conf`, '[Service]\nInaccessiblePaths=/run/systemd/private\n');
    try {
      await systemctl('daemon-reload');
      await systemctl('restart', 'bulkheadd');
      supervisor = await supervisorPid();
      const names = await uniqueNames();
      assert.equal(names.length, 2, 'one connection for systemd, one for clients');
      await spoof();
      await pause(600);
      assert.deepEqual(await uniqueNames(), names);
      assert.equal(await supervisorPid(), supervisor);
    } finally {
      rmSync(directory, { recursive: true });
      await systemctl('daemon-reload');
      await systemctl('restart', 'bulkheadd');
      supervisor = await supervisorPid();
    }
  });

  /** What came back from one of our own sockets: text, and how many descriptors. */
  async function said(prefix: readonly string[], socket: string, line: string): Promise<string> {
    const script = `
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(3)
try:
    s.connect(sys.argv[1])
    s.sendall(sys.argv[2].encode() + b"\\n")
    data, fds, flags, address = socket.recv_fds(s, 4096, 16)
    print(len(fds), data.decode().strip())
except OSError as error:
    print(type(error).__name__)
`;
    const [file = 'python3', ...args] = [...prefix, 'python3', '-c', script, socket, line];
    return (await must(file, ...args)).trim();
  }

  it('cannot reach the sockets of launchers and anchors', async () => {
    const [sandbox] = await readySandboxes(PREY);
    const setpriv = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    for (const socket of ['launch.sock', 'anchor.sock']) {
      assert.equal(await said(setpriv, `/run/bulkhead/${socket}`, `launch 1 ${sandbox?.unit}`), 'PermissionError');
    }
  });

  it('and whoever may connect there gets nothing without being what they say', async () => {
    const [sandbox] = await readySandboxes(PREY);
    const launch = '/run/bulkhead/launch.sock';
    const service = ['systemd-run', '--quiet', '--wait', '--pipe', '--collect'];
    for (const who of [
      [],
      service,
      [...service, `--unit=plugin-${PREY}-a-g999999`],
      [...service, '--slice=plugin-prey.slice'],
    ]) {
      assert.match(
        await said(who, launch, `launch 1 ${sandbox?.unit}`),
        /^0 refused BH403 process \d+ is in '.*', not in 'plugin-prey-a-g\d+\.service'$/,
      );
    }
    assert.match(await said([], launch, 'give me everything'), /^0 refused BH405 /);
    const unordered = [...service, `--unit=plugin-${PREY}-a-g999998`];
    assert.match(
      await said(unordered, launch, `launch 1 plugin-${PREY}-a-g999998.service`),
      /^0 refused BH302 nobody ordered /,
    );

    const anchor = '/run/bulkhead/anchor.sock';
    const hello = `hello 1 ${'0'.repeat(32)}\nstop`;
    // Whatever they say, the connection is ended without a word.
    for (const who of [
      [],
      service,
      [...service, '--uid=bulkhead'],
      [...service, '--unit=plugin-prey'],
      [...service, '--unit=xplugin@prey'],
    ]) {
      assert.match(await said(who, anchor, hello), /^(0|ConnectionResetError|BrokenPipeError)$/);
    }
  });

  it('gets by a rule of polkit exactly what the rule says', async () => {
    const rules = '/etc/polkit-1/rules.d/10-bulkhead-test.rules';
    const allowed = 'allowed-prey';
    installExample(allowed, 'c', ['template: native', 'version: v1', 'listen: [{ tcp: 127.0.0.1:9162 }]']);
    await systemctl('start', `plugin@${allowed}`);
    writeFileSync(
      rules,
      `polkit.addRule(function(action, subject) {
  if (action.id == "org.bulkhead.manage" && subject.user == "games" &&
      action.lookup("plugin") == "${allowed}" && action.lookup("verb") == "restart") return polkit.Result.YES;
});\n`,
      { mode: 0o644 },
    );
    try {
      await systemctl('restart', 'polkit');
      const before = pidsOf(await untilWhole(allowed, 1));
      const { status: exit, err } = await as(GAMES, 'bulkheadctl', 'restart', allowed);
      assert.equal(exit, 0, err);
      assert.notDeepEqual(pidsOf(await untilWhole(allowed, 1)), before);
      assert.match(await must('bulkheadctl', 'events', allowed), /restart asked for by uid 5, pid \d+/);
      const after = pidsOf(await untilWhole(allowed, 1));
      const others = [
        [GAMES, 'restart', PREY],
        [GAMES, 'stop', PREY],
        [GAMES, 'stop', allowed],
        [NOBODY, 'restart', allowed],
      ] as const;
      for (const [who, verb, plugin] of others) {
        const { status: refused, err: why } = await as(who, 'bulkheadctl', verb, plugin);
        assert.equal(refused, 5, `${verb} ${plugin} by ${who.uid}: ${why}`);
        assert.match(why, new RegExp(`BH403 .* for user ${who.uid}: `));
      }
      assert.notEqual((await as(GAMES, 'systemctl', '--no-ask-password', 'restart', `plugin@${allowed}`)).status, 0);
      assert.deepEqual(pidsOf(await untilWhole(allowed, 1)), after);
    } finally {
      rmSync(rules);
      await systemctl('restart', 'polkit');
      await uninstall(allowed);
    }
  });
});

describe('after all that a user without rights did', () => {
  it('a crash is recovered, and the journal tells of no defect', async function () {
    this.timeout(120_000);
    installExample(PREY, 'c', [
      'template: native',
      'version: v1',
      `listen: [{ tcp: 127.0.0.1:${PORT} }]`,
      'pool: { size: 2 }',
    ]);
    try {
      await systemctl('start', `plugin@${PREY}`);
      const [victim] = await untilWhole(PREY, 2);
      assert.ok(victim?.payloadPid);
      process.kill(victim.payloadPid, 'SIGKILL');
      await untilReplaced(PREY, 2, victim.unit);
    } finally {
      await uninstall(PREY);
    }
    const { stdout } = await run('journalctl', '-u', 'bulkheadd', '-o', 'cat', '-p', 'err', '-b');
    assert.ok(!stdout.includes('defect'), stdout);
  });

  it(`${MANAGER_NAME} is still the supervisor's`, async () => {
    const { stdout } = await run(
      'busctl',
      'call',
      'org.freedesktop.DBus',
      '/org/freedesktop/DBus',
      'org.freedesktop.DBus',
      'GetConnectionUnixProcessID',
      's',
      MANAGER_NAME,
    );
    assert.equal(Number(stdout.trim().split(' ')[1]), await supervisorPid());
  });
});
