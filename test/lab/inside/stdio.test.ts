import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { forEachIsolation } from '../../support/isolation.ts';
import { mcpClient, toolText } from '../../support/mcp.ts';
import {
  declare,
  installExample,
  killSupervisor,
  must,
  readySandboxes,
  status,
  systemctl,
  uninstall,
  until,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';
import { expectWhole } from './audit-lab.ts';

const TREE = process.env.BULKHEAD_TREE ?? '/opt/bulkhead-test';

forEachIsolation('a program on standard streams', function (isolation) {
  this.timeout(180_000);
  const NAME = `stdio-${isolation}`;
  const socket = `/run/plugin/${NAME}.sock`;
  const ends: (() => unknown)[] = [];

  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
    await uninstall(NAME);
  });

  async function client(): Promise<Client> {
    const made = await mcpClient(socket);
    ends.push(() => made.close());
    return made;
  }

  function place(version: string, ...files: readonly (readonly [from: string, to: string])[]): void {
    const directory = `/opt/plugin/${NAME}/${version}`;
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    // Links, for a whole node_modules is among them.
    for (const [from, to] of files) execFileSync('cp', ['-al', `${TREE}/${from}`, `${directory}/${to}`]);
  }

  async function start(lines: readonly string[], size = 1): Promise<void> {
    declare(NAME, ['version: v1', 'kind: stdio', `listen: [{ unix: ${socket} }]`, ...lines]);
    await systemctl('start', `plugin@${NAME}`);
    await untilWhole(NAME, size);
  }

  /** The server of the tests, which goes wrong in the ways that are asked for. */
  async function startServer(process: string, more: readonly string[] = [], size = 1): Promise<void> {
    for (const version of ['v1', 'v2']) place(version, ['stdio/server.py', 'main.py']);
    await start(['template: python', `stdio: { process: ${process} }`, ...more], size);
  }

  it('is offered as the example shows it', async () => {
    installExample(NAME, 'python', []);
    place('v1', ['examples/mcp-python/main.py', 'main.py']);
    await start([
      'template: python',
      'stdio: { process: shared }',
      'health: { liveness: { notify: true, every: 1s } }',
    ]);
    const one = await client();
    assert.equal(one.getServerVersion()?.name, 'mcp-python');
    assert.equal(await toolText(one, 'reverse', { text: 'stdio' }), 'oidts');
    await expectWhole(NAME);
    const journal = await must('journalctl', '-b', '-o', 'cat', `BULKHEAD_PLUGIN=${NAME}`);
    const output = isolation === 'nspawn' ? journal : await must('journalctl', '-b', '-o', 'cat', '-t', NAME);
    assert.match(output, /mcp-python is there/);
    assert.match(await must('bulkheadctl', 'plan', NAME), /stdio\.process\s+shared/);
    // Long enough for a sign of life that does not come to be missed.
    await pause(4500);
    assert.equal((await readySandboxes(NAME)).length, 1);
    assert.equal(await toolText(one, 'reverse', { text: 'ab' }), 'ba');
  });

  for (const process of ['connection', 'shared'])
    it(`is a public server in JavaScript, with a process that is ${process}`, async () => {
      place('v1', ['node_modules', 'node_modules']);
      const program = 'node_modules/@modelcontextprotocol/server-filesystem/dist/index.js';
      await start([
        'template: node',
        `exec: [/usr/bin/node, ${program}, /srv/files]`,
        `stdio: { process: ${process} }`,
        'state: { path: /srv/files }',
        'limits: { tasks: 200 }',
      ]);
      const [one, other] = [await client(), await client()];
      await toolText(one, 'write_file', { path: '/srv/files/note.txt', content: 'from a sandbox' });
      assert.equal(await toolText(other, 'read_text_file', { path: '/srv/files/note.txt' }), 'from a sandbox');
      assert.match(await toolText(other, 'read_text_file', { path: '/etc/hostname' }), /denied/);
      await expectWhole(NAME);
    });

  it('that dies is started again in the same sandbox, and the client is told', async () => {
    await startServer('shared');
    const [before] = await readySandboxes(NAME);
    const one = await client();
    const pid = await toolText(one, 'pid');
    await assert.rejects(toolText(one, 'die', { signal: 'SIGSEGV' }), (error: Error & { code?: number }) => {
      assert.equal(error.code, -32050);
      assert.match(error.message, /the program was killed by SIGSEGV while it had this request/);
      return true;
    });
    assert.notEqual(await toolText(one, 'pid'), pid);
    await until('the status to say so', async () => {
      const [sandbox] = await readySandboxes(NAME);
      assert.equal(sandbox?.unit, before?.unit);
      return /started again, for the 1\. time: it was killed by SIGSEGV/.test(sandbox?.statusText ?? '');
    });
    await expectWhole(NAME);
  });

  it('that keeps dying is a death of the sandbox, of the class that it has', async () => {
    await startServer('shared');
    const [before] = await readySandboxes(NAME);
    const one = await client();
    for (let death = 0; death < 6; death++) await assert.rejects(toolText(one, 'die', { signal: 'SIGSEGV' }));
    await untilReplaced(NAME, 1, before?.unit ?? '');
    const why = await must('bulkheadctl', 'why', NAME);
    assert.match(why, /crash/);
    assert.match(why, /SIGSEGV/);
    const next = await client();
    assert.equal(await toolText(next, 'echo', { text: 'again' }), 'again');
  });

  it('that hangs is found by what it has in hand, and replaced', async () => {
    await startServer('connection', ['health: { request-timeout: 1s }']);
    const [before] = await readySandboxes(NAME);
    const [one, other] = [await client(), await client()];
    assert.equal(await toolText(other, 'echo', { text: 'x' }), 'x');
    void toolText(one, 'stuck').catch(() => {});
    await untilReplaced(NAME, 1, before?.unit ?? '');
    assert.match(await must('bulkheadctl', 'why', NAME), /tools\/call stuck/);
  });

  it('is replaced when it answers no ping', async () => {
    await startServer('shared', ['health: { liveness: { tcp: true, every: 500ms, timeout: 500ms, misses: 2 } }']);
    const [before] = await readySandboxes(NAME);
    // Nobody asks anything but the probes, and they pass: more than enough of them to be missed.
    await pause(5000);
    assert.deepEqual(
      (await readySandboxes(NAME)).map(({ unit }) => unit),
      [before?.unit],
    );
    const one = await client();
    void toolText(one, 'block', { seconds: 100 }).catch(() => {});
    await untilReplaced(NAME, 1, before?.unit ?? '');
    assert.match(await must('bulkheadctl', 'why', NAME), /probe/);
  });

  it('has a standby that takes nobody before its turn', async () => {
    await startServer('shared', ['pool: { standby: 1 }'], 2);
    const [serving] = (await readySandboxes(NAME)).filter(({ standby }) => !standby);
    const clients = await Promise.all(Array.from({ length: 10 }, client));
    const names = await Promise.all(
      clients.map(
        async (each) => (JSON.parse(await toolText(each, 'environment')) as NodeJS.ProcessEnv).BULKHEAD_SANDBOX,
      ),
    );
    assert.deepEqual(new Set(names), new Set([serving?.machine]));
    process.kill(serving?.payloadPid ?? 0, 'SIGKILL');
    const next = JSON.parse(await toolText(await client(), 'environment')) as NodeJS.ProcessEnv;
    assert.notEqual(next.BULKHEAD_SANDBOX, serving?.machine);
    await untilReplaced(NAME, 2, serving?.unit ?? '');
  });

  it('is upgraded in place by a signal that ends it, and started again from the new version', async () => {
    await startServer('shared', ['upgrade: { way: in-place }']);
    for (const version of ['v1', 'v2']) writeFileSync(`/opt/plugin/${NAME}/${version}/which.txt`, version);
    const [before] = await readySandboxes(NAME);
    const one = await client();
    const which = () => toolText(one, 'file', { name: 'which.txt' });
    assert.equal(await which(), 'v1');
    await must('bulkheadctl', 'upgrade', NAME, 'v2');
    // What is in hand when the signal comes is answered with an error.
    await until('the new version', async () => (await which().catch(() => '')) === 'v2');
    const [after] = await readySandboxes(NAME);
    assert.equal(after?.unit, before?.unit);
    assert.match(after?.statusText ?? '', /was killed by SIGHUP/);
  });

  it('serves on while the supervisor is killed, and finishes what it has in hand when it is upgraded', async () => {
    await startServer('shared', ['upgrade: { canary: [], bake: 1s, drain: 20s }']);
    const one = await client();
    const asleep = toolText(one, 'sleep', { seconds: 2 });
    await killSupervisor();
    assert.equal(await asleep, 'slept');
    // Longer than the new version takes to come, and shorter than the old one may take to go.
    const slept = toolText(one, 'sleep', { seconds: 12 });
    await must('bulkheadctl', 'upgrade', NAME, 'v2');
    assert.equal(await slept, 'slept');
    await until('the client to be let go', async () => one.transport === undefined);
    const [sandbox] = await untilWhole(NAME, 1);
    assert.equal(sandbox?.version, 'v2');
    const next = await client();
    assert.equal(await toolText(next, 'echo', { text: 'v2' }), 'v2');
    assert.equal((await status(NAME)).sandboxes.filter(({ state }) => state === 'ready').length, 1);
  });
});
