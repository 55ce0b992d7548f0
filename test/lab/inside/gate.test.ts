import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { SandboxStatus } from '../../../src/control/api.ts';
import { forEachIsolation, isolationNow } from '../../support/isolation.ts';
import { pause } from '../../support/load.ts';
import {
  installExample,
  installHostile,
  killSupervisor,
  must,
  run,
  status,
  supervisorPid,
  systemctl,
  uninstall,
  until,
} from '../../support/system.ts';

const NAME = 'gated';
const PORT = 9181;
/** What a stop takes that waits for a payload in vain; any other is over long before, on a busy machine, too (ms). */
const WAITED_FOR_MS = 60_000;

/** The machine that answered, or `nobody` after so many ms; the plugin `misbehave` says who it is. */
function ask(ms = 20_000): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(PORT, '127.0.0.1');
    let text = '';
    const timer = setTimeout(() => end('nobody'), ms);
    const end = (who: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(who);
    };
    socket.on('connect', () => socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'));
    socket.on('data', (data) => {
      text += data.toString();
    });
    socket.on('error', (error) => end(error.message));
    socket.on('close', () => end(text.split('\r\n\r\n')[1]?.trim() ?? 'nothing'));
  });
}

interface Pair {
  readonly serving: SandboxStatus;
  readonly standby: SandboxStatus;
}

/** When one serves and one stands by, and both are ready. */
async function pair(but?: string): Promise<Pair> {
  let found: Partial<Pair> = {};
  await until('one that serves and a standby', async () => {
    const { sandboxes } = await status(NAME);
    const ready = sandboxes.filter(({ state, payloadPid }) => state === 'ready' && payloadPid !== null);
    const [serving, standby] = [ready.find((one) => !one.standby), ready.find((one) => one.standby)];
    found = { ...(serving && { serving }), ...(standby && { standby }) };
    return sandboxes.length === 2 && serving?.gate === 'open' && standby?.gate === 'held' && standby.unit !== but;
  });
  return found as Pair;
}

function middle(values: readonly number[]): string {
  const sorted = [...values].sort((one, other) => one - other);
  const at = (share: number): string => (sorted[Math.ceil(share * sorted.length) - 1] ?? 0).toFixed(1);
  return `median ${at(0.5)} ms, 90 % ${at(0.9)} ms, worst ${at(1)} ms`;
}

forEachIsolation('the gate', function () {
  this.timeout(120_000);

  const DECLARATION = [
    'template: native',
    'version: v1',
    `listen: [{ tcp: 127.0.0.1:${PORT} }]`,
    'pool: { size: 1, standby: 1 }',
    'recovery: { budget: { restarts: 1000, within: 10min }, backoff: { initial: 10ms, max: 10ms, jitter: 0% } }',
    `stop: { timeout: ${WAITED_FOR_MS}ms }`,
  ];

  beforeEach(async () => {
    installHostile(NAME, 'misbehave', DECLARATION);
    await systemctl('start', `plugin@${NAME}`);
  });
  afterEach(() => uninstall(NAME));

  it('keeps a standby from all connections, as a wall among others that the audit finds as planned', async () => {
    const { serving } = await pair();
    for (let n = 0; n < 300; n++) assert.equal(await ask(), serving.machine);
    const audit = await run('bulkheadctl', 'audit', NAME, '--json');
    assert.equal(audit.status, 0, audit.stdout + audit.stderr);
    assert.match(serving.seccomp.profile, /^native\+gate$/);
    assert.match(await must('bulkheadctl', 'plan', NAME), /gate +before the program's accept\(2\)/);
  });

  it('opens when the one that serves dies: connections that wait and that come are taken, none is refused', async () => {
    const times: number[] = [];
    let before: string | undefined;
    for (let n = 0; n < 20; n++) {
      const { serving, standby } = await pair(before);
      before = standby.unit;
      const began = performance.now();
      process.kill(serving.payloadPid ?? 0, 'SIGKILL');
      assert.equal(await ask(), standby.machine);
      times.push(performance.now() - began);
      assert.deepEqual(new Set(await Promise.all([ask(), ask(), ask()])), new Set([standby.machine]));
    }
    process.stdout.write(`      death to first answer (${isolationNow()}): ${middle(times)}\n`);
  });

  it('stays as it is while the supervisor is killed, and is opened by the next one', async () => {
    const { serving, standby } = await pair();
    await killSupervisor();
    assert.equal(await ask(), serving.machine);
    assert.equal((await pair()).standby.unit, standby.unit);
    // One that dies while nobody watches.
    const supervisor = await supervisorPid();
    process.kill(supervisor, 'SIGSTOP');
    process.kill(serving.payloadPid ?? 0, 'SIGKILL');
    await until('its death', async () => (await run('kill', '-0', String(serving.payloadPid))).status !== 0);
    const waiting = ask();
    process.kill(supervisor, 'SIGKILL');
    assert.equal(await waiting, standby.machine);
  });

  it('does not open for a signal to another process, and answers one that is sent by hand', async () => {
    const { serving, standby } = await pair();
    await must('kill', '-35', String(standby.payloadPid)).catch(() => {});
    await until('its death', async () => (await status(NAME)).sandboxes.every(({ unit }) => unit !== standby.unit));
    assert.equal(await ask(), serving.machine);
  });

  it('that is frozen is killed when the plugin is stopped, instead of waited for', async () => {
    const { serving, standby } = await pair();
    for (const { unit, cgroup } of [serving, standby]) {
      const group = isolationNow() === 'nspawn' ? `${cgroup}/payload` : cgroup;
      writeFileSync(`/sys/fs/cgroup${group}/cgroup.freeze`, '1');
      assert.ok(unit);
    }
    await pause(100);
    const began = performance.now();
    await systemctl('stop', `plugin@${NAME}`);
    assert.ok(performance.now() - began < WAITED_FOR_MS, `${performance.now() - began} ms`);
  });
});

forEachIsolation('the gate before a program that binds its own port', function () {
  this.timeout(180_000);

  it('is that of the adapter', async () => {
    installExample(NAME, 'python', [
      "exec: [/usr/bin/python3, -uc, \"import http.server, os; H = http.server.BaseHTTPRequestHandler; H.do_GET = lambda self: (self.send_response(200), self.end_headers(), self.wfile.write(os.environ['BULKHEAD_SANDBOX'].encode())); http.server.ThreadingHTTPServer(('127.0.0.1', 4000), H).serve_forever()\"]",
      'seccomp: python',
      `listen: [{ tcp: 127.0.0.1:${PORT}, to: 4000 }]`,
      'pool: { size: 1, standby: 1 }',
    ]);
    try {
      await systemctl('start', `plugin@${NAME}`);
      const { serving, standby } = await pair();
      for (let n = 0; n < 50; n++) assert.equal(await ask(), serving.machine);
      assert.equal(serving.seccomp.profile, 'python');
      process.kill(serving.payloadPid ?? 0, 'SIGKILL');
      // Lost is what the program had in its hands, and one that the adapter took before it found the port closed.
      const answers: string[] = [];
      for (let n = 0; n < 20; n++) answers.push(await ask());
      const lost = answers.filter((answer) => answer !== standby.machine);
      assert.ok(
        lost.length <= 2 && lost.every((answer) => /^(read ECONNRESET|nothing)$/.test(answer)),
        lost.join('; '),
      );
    } finally {
      await uninstall(NAME);
    }
  });
});
