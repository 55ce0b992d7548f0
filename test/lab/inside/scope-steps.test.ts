import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import type { SandboxStatus } from '../../../src/control/api.ts';
import { HttpLoad } from '../../support/load.ts';
import {
  declare,
  installExample,
  killSupervisor,
  must,
  run,
  sandboxUnits,
  status,
  systemctl,
  uninstall,
  until,
  untilWhole,
} from '../../support/system.ts';

const PORT = 9161;
/** What a stop takes that waits for a payload in vain; any other is over long before, on a busy machine, too (ms). */
const WAITED_FOR_MS = 60_000;
const SOCKET = '/run/bulkhead/spawn.sock';
const REAL = '/run/bulkhead/spawn.real';
const HELD = '/run/scope-steps-held';

/**
 * Stands between supervisor and spawner, and passes on what they say to each other, with its descriptors. One word is
 * held back, at its first time: from then on there is a file that says so, and it is passed on when that is removed.
 */
const GO_BETWEEN = `
import os, select, socket, sys
held_word, path, real, told = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(path)
listener.listen(16)
print('listening', flush=True)
pairs = {}
held = None
while True:
    if held is not None and not os.path.exists(told) and held[0] in pairs:
        socket.send_fds(held[0], [held[1]], held[2])
        held = None
    for one in select.select([listener, *pairs], [], [], 0.02)[0]:
        if one is listener:
            near, _ = listener.accept()
            far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            far.connect(real)
            pairs[near], pairs[far] = far, near
            continue
        if one not in pairs:
            continue
        other = pairs[one]
        try:
            data, fds, _, _ = socket.recv_fds(one, 1 << 20, 64)
        except OSError:
            data, fds = b'', []
        if not data:
            for each in (one, other):
                del pairs[each]
                each.close()
        elif held_word and data.startswith(held_word.encode()):
            held_word = ''
            held = (other, data, fds)
            open(told, 'w').close()
        else:
            socket.send_fds(other, [data], fds)
            for fd in fds:
                os.close(fd)
`;

describe('a supervisor that is killed between the steps of a scope', function () {
  this.timeout(120_000);
  let between: ChildProcess | undefined;
  /** Another one each time: generations are counted for as long as the host is up. */
  let name = '';
  let count = 0;

  beforeEach(() => {
    count += 1;
    name = `steps${count}${Date.now().toString(36)}`;
    installExample(name, 'c', [
      'template: native',
      'version: v1',
      'isolation: scope',
      `listen: [{ tcp: 127.0.0.1:${PORT} }]`,
      `stop: { timeout: ${WAITED_FOR_MS}ms }`,
      'recovery: { budget: { restarts: 1, within: 60s } }',
    ]);
  });

  afterEach(async () => {
    await stepAside();
    await uninstall(name);
  });

  async function stepBetween(word: string): Promise<void> {
    rmSync(HELD, { force: true });
    renameSync(SOCKET, REAL);
    between = spawn('/usr/bin/python3', ['-c', GO_BETWEEN, word, SOCKET, REAL, HELD], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => between?.stdout?.once('data', resolve));
  }

  async function stepAside(): Promise<void> {
    if (between === undefined) return;
    const ended = new Promise((resolve) => between?.once('exit', resolve));
    between.kill('SIGKILL');
    await ended;
    between = undefined;
    if (existsSync(REAL)) renameSync(REAL, SOCKET);
  }

  /** All of it serves, it is there once, and nothing else is. */
  async function isWhole(): Promise<SandboxStatus> {
    const [sandbox] = await untilWhole(name, 1);
    assert.ok(sandbox !== undefined);
    await until('there is no second one', async () => (await sandboxUnits(name)).length === 1);
    assert.deepEqual(await sandboxUnits(name), [sandbox.unit]);
    assert.deepEqual(records(), [`${sandbox.unit}.json`]);
    assert.equal(inits(), 1);
    const target = { host: '127.0.0.1', port: PORT };
    const { ok, lost } = await new HttpLoad({ target, connections: 4, keepAlive: false, requests: 100 }).finished();
    assert.deepEqual({ ok, lost }, { ok: 100, lost: [] });
    return sandbox;
  }

  function records(): string[] {
    return readdirSync('/run/bulkhead/sandbox').filter((file) => file.includes(name));
  }

  /** Processes that are init of this plugin, or wait to become it. */
  function inits(): number {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids.filter((pid) => {
      try {
        return /^NSpid:\s+\d+\s+1$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')) && mentions(pid);
      } catch {
        return false;
      }
    }).length;
  }

  function mentions(pid: string): boolean {
    const texts = ['cgroup', 'mountinfo'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8'));
    return texts.some((text) => text.includes(name));
  }

  const steps = [
    ['cloned', 'the process was cloned, and nobody was told', 'another'],
    ['go', 'its scope is there, and it was not let go', 'another'],
    ['started', 'it was let go, and nobody was told', 'the same'],
  ] as const;

  for (const [word, what, which] of steps) {
    it(`when ${what}, leaves nothing that the next one does not know`, async () => {
      await stepBetween(word);
      const start = run('systemctl', 'start', `plugin@${name}`);
      await until('the word is held back', () => existsSync(HELD));
      const units = await sandboxUnits(name);
      assert.equal(units.length, word === 'cloned' ? 0 : 1);
      await killSupervisor();
      assert.equal((await start).status, 0);
      const { unit } = await isWhole();
      const first = `plugin-${name}-a-g1.scope`;
      assert.equal(unit === first, which === 'the same', unit);
    });
  }

  it('that is not killed, but asked to stop before there is a scope, lets nothing run', async () => {
    await stepBetween('cloned');
    await systemctl('start', '--no-block', `plugin@${name}`);
    await until('the word is held back', () => existsSync(HELD));
    const began = performance.now();
    const stop = systemctl('stop', `plugin@${name}`);
    // As soon as the supervisor knows: it says so in the events.
    await until('the stop is known', async () => /stopping/.test(await must('bulkheadctl', 'events', name)));
    rmSync(HELD);
    await stop;
    assert.ok(performance.now() - began < WAITED_FOR_MS, 'the stop waited for a limit of time');
    // There was not even a scope.
    assert.match(await must('bulkheadctl', 'events', name), /was stopped before it was there/);
    assert.deepEqual(await sandboxUnits(name), []);
    await until('no process is left', () => inits() === 0);
    assert.deepEqual(records(), []);
  });

  it('when it was not ready yet, goes on to wait for it', async () => {
    declare(name, [
      'template: python',
      'version: v1',
      'isolation: scope',
      `exec: [/usr/bin/python3, -c, ${JSON.stringify(SLOWLY_READY)}]`,
      'health: { ready: notify }',
    ]);
    const start = run('systemctl', 'start', `plugin@${name}`);
    await until('it runs', async () => (await sandboxUnits(name)).length === 1);
    await killSupervisor();
    assert.equal((await status(name)).ready, 0);
    assert.equal((await start).status, 0);
    const [sandbox] = await untilWhole(name, 1);
    assert.equal(sandbox?.generation, 1);
  });

  it('and is away when it becomes ready, sees that it is', async () => {
    declare(name, [
      'template: python',
      'version: v1',
      'isolation: scope',
      `exec: [/usr/bin/python3, -c, ${JSON.stringify(SLOWLY_READY)}]`,
      'health: { ready: notify }',
    ]);
    const start = run('systemctl', 'start', `plugin@${name}`);
    await until('it runs', async () => (await sandboxUnits(name)).length === 1);
    await systemctl('stop', 'bulkheadd');
    try {
      await until('it is ready', () => inits() === 1 && isReadyByName());
    } finally {
      await systemctl('start', 'bulkheadd');
    }
    assert.equal((await start).status, 0);
    const [sandbox] = await untilWhole(name, 1);
    assert.equal(sandbox?.generation, 1);
  });

  function isReadyByName(): boolean {
    const group = `/sys/fs/cgroup/plugin.slice/plugin-${name}.slice/plugin-${name}-a-g1.scope`;
    const pids = readFileSync(`${group}/cgroup.procs`, 'utf8').trim().split('\n');
    return pids.some((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'plugin-ready');
  }

  it('starts nothing without a spawner, and says so; with one, it starts', async () => {
    await must('systemctl', 'stop', 'bulkhead-spawner');
    try {
      const failed = await run('systemctl', 'start', `plugin@${name}`);
      assert.notEqual(failed.status, 0);
      assert.match((await run('bulkheadctl', 'status', name)).stdout, /BH308 /);
    } finally {
      await systemctl('start', 'bulkhead-spawner');
    }
    await systemctl('start', `plugin@${name}`);
    await isWhole();
  });

  it('outlives every restart of the spawner', async () => {
    await systemctl('start', `plugin@${name}`);
    const before = await isWhole();
    await systemctl('restart', 'bulkhead-spawner');
    const pid = Number((await systemctl('show', '-P', 'MainPID', 'bulkhead-spawner')).trim());
    process.kill(pid, 'SIGKILL');
    assert.equal((await isWhole()).payloadPid, before.payloadPid);
    await until('the next spawner', async () => (await run('systemctl', 'is-active', 'bulkhead-spawner')).status === 0);
    assert.ok(before.payloadPid !== null);
    process.kill(before.payloadPid, 'SIGKILL');
    await until('it is replaced', async () => (await status(name)).sandboxes[0]?.generation === 2);
    await isWhole();
  });
});

const SLOWLY_READY = `
import os, socket, time
time.sleep(3)
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
time.sleep(600)
`;
