import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clearPath, listenWhere } from '../../../../src/rpc/plugin/listen-where.ts';
import { watchdogMs } from '../../../../src/rpc/plugin/service-manager.ts';
import { Caller, Target } from './target.ts';

const PID = String(process.pid);

describe('rpc: where a plugin serves', () => {
  const program = '/opt/plugin/retrieval/main.js';

  for (const [what, environment, where] of [
    ['the descriptor called rpc', { LISTEN_FDS: '3', LISTEN_FDNAMES: 'http:rpc:probe', LISTEN_PID: PID }, { fd: 4 }],
    ['the only descriptor without a name', { LISTEN_FDS: '1' }, { fd: 3 }],
    [
      'the named path, when none is called rpc',
      { LISTEN_FDS: '1', LISTEN_FDNAMES: 'x', BULKHEAD_RPC_SOCKET: '/x' },
      { path: '/x' },
    ],
    [
      'the named path, when descriptors are of another process',
      { LISTEN_FDS: '1', LISTEN_PID: '1', BULKHEAD_RPC_SOCKET: '/x' },
      { path: '/x' },
    ],
    [
      'the named path, when there are fewer descriptors than names',
      { LISTEN_FDS: '1', LISTEN_FDNAMES: 'a:rpc', BULKHEAD_RPC_SOCKET: '/x' },
      { path: '/x' },
    ],
    ['a socket called as the directory of main.js', {}, { path: './retrieval.sock' }],
    ['a socket called as the plugin', { BULKHEAD_PLUGIN: 'embedder' }, { path: './embedder.sock' }],
  ] as const)
    it(`is ${what}`, () => {
      assert.deepEqual(listenWhere(environment, program), where);
    });

  it('is a socket called as the file, when that says something', () => {
    assert.deepEqual(listenWhere({}, '/home/me/embed.mjs'), { path: './embed.sock' });
    assert.deepEqual(listenWhere({}, undefined), { path: './plugin.sock' });
  });

  it('is nowhere in a sandbox whose declaration has no rpc', () => {
    assert.throws(() => listenWhere({ BULKHEAD_SANDBOX: 'x' }, program), /needs 'rpc: {}'/);
  });

  it('is not at a path that no socket can have', () => {
    assert.throws(() => listenWhere({ BULKHEAD_RPC_SOCKET: `/${'x'.repeat(107)}` }, program), /108 bytes/);
  });

  it('is where nobody else serves, and nothing but a socket is', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'where-'));
    const path = join(directory, 's.sock');
    await clearPath(path);
    const server = createServer().listen(path);
    await new Promise((resolve) => server.once('listening', resolve));
    await assert.rejects(clearPath(path), /somebody serves/);
    await new Promise((resolve) => server.close(resolve));
    writeFileSync(path, 'a file');
    await assert.rejects(clearPath(path), /not a socket/);
    rmSync(directory, { recursive: true });
  });
});

describe('rpc: signs of life', () => {
  it('are told twice in the time that is asked for', () => {
    assert.equal(watchdogMs({ WATCHDOG_USEC: '3000000' }), 1500);
    assert.equal(watchdogMs({ WATCHDOG_USEC: '3000000', WATCHDOG_PID: PID }), 1500);
    assert.equal(watchdogMs({ WATCHDOG_USEC: '1' }), 1);
    for (const environment of [
      {},
      { WATCHDOG_USEC: '0' },
      { WATCHDOG_USEC: 'x' },
      { WATCHDOG_USEC: '3000000', WATCHDOG_PID: '1' },
    ])
      assert.equal(watchdogMs(environment), undefined);
  });
});

describe('rpc: a plugin without the addon', function () {
  this.timeout(30_000);

  it('serves, and says what it cannot', async () => {
    const target = new Target();
    await target.start({ BULKHEAD_ADDON: '/nowhere/bulkhead.node' });
    // What is made by hand is its maker's alone.
    assert.equal(statSync(target.socket).mode & 0o777, 0o600);
    const caller = new Caller(target.socket);
    await caller.greet();
    await caller.call('save', ['s', 0, Buffer.from('x')]);
    await assert.rejects(
      caller.call('accept', [Buffer.from('x')]),
      /failed: the addon is not at \/nowhere\/bulkhead\.node/,
    );
    caller.end();
    target.remove();
  });

  it('does not serve where its readiness is waited for', async () => {
    const target = new Target();
    await target.start({ BULKHEAD_ADDON: '/nowhere/bulkhead.node', NOTIFY_SOCKET: '/nowhere/notify' });
    assert.match(target.stderr, /bulkhead cannot be told READY=1: the addon is not at/);
    assert.equal(await target.stop('SIGTERM'), 1);
    target.remove();
  });
});
