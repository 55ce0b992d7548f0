import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { forEachIsolation } from '../../support/isolation.ts';
import { HttpLoad } from '../../support/load.ts';
import {
  declare,
  installExample,
  readySandboxes,
  run,
  sandboxUnits,
  systemctl,
  UPGRADED_AT_ONCE,
  uninstall,
  until,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';

const NAME = 'timely';

/** A version whose program is this Python text. */
function installProgram(program: string, declaration: readonly string[]): void {
  installExample(NAME, 'python', declaration);
  writeFileSync(`/opt/plugin/${NAME}/v1/main.py`, program, { mode: 0o644 });
}

const SAY_READY = `
import os, socket, time
def tell(words):
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.sendto(words.encode(), os.environ["NOTIFY_SOCKET"])
`;

forEachIsolation('limits of time', function () {
  this.timeout(180_000);

  afterEach(async () => {
    await uninstall(NAME);
    // nspawn ended by itself each time: killed hard, it would have left a mount behind.
    assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(`unix-export/${NAME}`));
  });

  it('with health.ready notify, the start waits for READY=1 of the payload, and its STATUS= is shown', async () => {
    installProgram(`${SAY_READY}\ntime.sleep(1)\ntell("STATUS=warm")\ntell("READY=1")\ntime.sleep(600)\n`, [
      'template: python',
      'version: v1',
      'health: { ready: notify }',
    ]);
    const began = performance.now();
    await systemctl('start', `plugin@${NAME}`);
    assert.ok(performance.now() - began >= 1000);
    await until('the text is shown', async () => (await readySandboxes(NAME))[0]?.statusText === 'warm');
  });

  it('a payload that is never ready is killed at health.start-timeout, and the start fails with BH303', async () => {
    installProgram('import time\ntime.sleep(600)\n', [
      'template: python',
      'version: v1',
      'health: { ready: notify, start-timeout: 1s }',
      'recovery: { budget: { restarts: 1, within: 60s } }',
    ]);
    assert.notEqual((await run('systemctl', 'start', `plugin@${NAME}`)).status, 0);
    assert.match((await run('systemctl', 'status', `plugin@${NAME}`)).stdout, /not ready within 1s/);
    await until('nothing is left', async () => (await sandboxUnits(NAME)).length === 0);
  });

  it('a plugin of which ten sandboxes wait to be ready delays the start of no other', async () => {
    const other = `${NAME}-other`;
    installProgram('import time\ntime.sleep(600)\n', [
      'template: python',
      'version: v1',
      'pool: { size: 10 }',
      'health: { ready: notify, start-timeout: 10min }',
    ]);
    declare(other, ['template: native', 'exec: [/bin/sh, -c, "while :; do sleep 1; done"]']);
    try {
      await systemctl('start', '--no-block', `plugin@${NAME}`);
      await until('ten are there', async () => (await sandboxUnits(NAME)).length === 10, 60_000);
      await systemctl('start', `plugin@${other}`);
      assert.equal((await readySandboxes(other)).length, 1);
    } finally {
      await uninstall(other);
    }
  });

  it('a payload that ignores SIGTERM is killed at stop.timeout', async () => {
    installProgram('import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)\n', [
      'template: python',
      'version: v1',
      'pool: { size: 2 }',
      'stop: { timeout: 1s }',
    ]);
    await systemctl('start', `plugin@${NAME}`);
    await untilWhole(NAME, 2);
    // The signal must not come before the program has said that it ignores it.
    await new Promise((resolve) => setTimeout(resolve, 500));
    await systemctl('stop', `plugin@${NAME}`);
    assert.deepEqual(await sandboxUnits(NAME), []);
    assert.equal((await run('systemctl', 'is-failed', `plugin@${NAME}`)).stdout.trim(), 'inactive');
  });

  it('the stop signal is the declared one', async () => {
    const program =
      'import signal, sys, time\nsignal.signal(signal.SIGUSR1, lambda *_: sys.exit(42))\nwhile True: time.sleep(1)\n';
    installProgram(program, ['template: python', 'version: v1', 'stop: { signal: SIGUSR1, timeout: 20s }']);
    await systemctl('start', `plugin@${NAME}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await systemctl('stop', `plugin@${NAME}`);
    const { stdout } = await run(
      'journalctl',
      '-o',
      'cat',
      `BULKHEAD_PLUGIN=${NAME}`,
      'BULKHEAD_EVENT=stopped',
      '-n',
      '2',
    );
    assert.match(stdout, /exit status 42/);
  });
});

forEachIsolation('a reload', function () {
  this.timeout(180_000);

  afterEach(() => uninstall(NAME));

  const lines = (value: string, size: number): string[] => [
    'template: python',
    'version: v1',
    'listen: [{ tcp: 127.0.0.1:9151 }]',
    `pool: { size: ${size} }`,
    UPGRADED_AT_ONCE,
    `environment: { FLAVOUR: ${value} }`,
  ];

  it('starts others beside them when the declaration has changed, without a lost request', async () => {
    installExample(NAME, 'python', lines('vanilla', 2));
    await systemctl('start', `plugin@${NAME}`);
    const before = (await untilWhole(NAME, 2)).map(({ unit }) => unit);
    const load = new HttpLoad({ target: { host: '127.0.0.1', port: 9151 }, connections: 8, keepAlive: false });
    await load.more(100);
    declare(NAME, lines('cherry', 2));
    await systemctl('reload', `plugin@${NAME}`);
    await until('both are replaced', async () => {
      const ready = await readySandboxes(NAME);
      return ready.length === 2 && ready.every(({ unit }) => !before.includes(unit));
    });
    await until('the old ones are gone', async () => (await sandboxUnits(NAME)).length === 2);
    await load.more(100);
    assert.deepEqual((await load.stop()).lost, []);
    for (const { payloadPid } of await readySandboxes(NAME)) {
      assert.match(readFileSync(`/proc/${payloadPid}/environ`, 'utf8'), /FLAVOUR=cherry/);
    }
  });

  it('of an unchanged declaration changes nothing', async () => {
    installExample(NAME, 'python', lines('vanilla', 2));
    await systemctl('start', `plugin@${NAME}`);
    const before = (await untilWhole(NAME, 2)).map(({ unit }) => unit);
    await systemctl('reload', `plugin@${NAME}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.deepEqual(
      (await readySandboxes(NAME)).map(({ unit }) => unit),
      before,
    );
  });

  it('of a broken declaration says so, and what runs goes on', async () => {
    installExample(NAME, 'python', lines('vanilla', 1));
    await systemctl('start', `plugin@${NAME}`);
    const before = (await untilWhole(NAME, 1)).map(({ unit }) => unit);
    declare(NAME, [...lines('vanilla', 1), 'lisen: []']);
    await systemctl('reload', `plugin@${NAME}`);
    await until('the refusal is shown', async () =>
      /refused: BH102/.test((await run('systemctl', 'status', `plugin@${NAME}`)).stdout),
    );
    assert.deepEqual(
      (await readySandboxes(NAME)).map(({ unit }) => unit),
      before,
    );
    const [sandbox] = await readySandboxes(NAME);
    assert.ok(sandbox?.payloadPid);
    process.kill(sandbox.payloadPid, 'SIGKILL');
    await untilReplaced(NAME, 1, sandbox.unit);
  });

  it('grows and shrinks the pool', async () => {
    installExample(NAME, 'python', lines('vanilla', 1));
    await systemctl('start', `plugin@${NAME}`);
    for (const size of [3, 1]) {
      declare(NAME, lines('vanilla', size));
      await systemctl('reload', `plugin@${NAME}`);
      await untilWhole(NAME, size);
      await until('no more than that', async () => (await sandboxUnits(NAME)).length === size);
    }
  });
});

forEachIsolation('many deaths at once', function () {
  this.timeout(120_000);

  afterEach(() => uninstall(NAME));

  it('of a pool of 16 are each recovered once', async () => {
    installExample(NAME, 'c', [
      'template: native',
      'version: v1',
      'listen: [{ tcp: 127.0.0.1:9152 }]',
      'pool: { size: 16 }',
      'recovery: { budget: { restarts: 100, within: 60s } }',
    ]);
    await systemctl('start', `plugin@${NAME}`);
    const before = await untilWhole(NAME, 16);
    for (const { payloadPid } of before) process.kill(payloadPid ?? 0, 'SIGKILL');
    await until(
      'all are replaced',
      async () => {
        const ready = await readySandboxes(NAME);
        return ready.length === 16 && ready.every(({ unit }) => !before.some((dead) => dead.unit === unit));
      },
      60_000,
    );
    assert.equal((await sandboxUnits(NAME)).length, 16);
    const newest = Math.max(...(await readySandboxes(NAME)).map(({ generation }) => generation));
    assert.equal(newest, Math.max(...before.map(({ generation }) => generation)) + 16);
  });
});
