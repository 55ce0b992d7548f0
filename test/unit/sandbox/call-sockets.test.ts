import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { isListening } from '../../../src/kernel/native.ts';
import type { HostPaths } from '../../../src/plan/plan.ts';
import { rpcSocket } from '../../../src/plan/rpc.ts';
import {
  openCallSocket,
  removeCallDirectory,
  removeCallSocket,
  sweepCallSockets,
} from '../../../src/sandbox/call-sockets.ts';

describe('sockets for calls', () => {
  let run = '';
  const open: number[] = [];
  beforeEach(() => {
    run = mkdtempSync(`${tmpdir()}/bulkhead-rpc-`);
  });
  afterEach(() => {
    for (const fd of open.splice(0)) closeSync(fd);
    rmSync(run, { recursive: true });
  });

  const paths = (): HostPaths => ({ lib: '', etc: '', run, state: '', versions: '', nspawn: '' });
  const own = { user: String(process.getuid?.()), group: String(process.getgid?.()), mode: 0o640 };

  async function make(generation: number): Promise<string> {
    const path = rpcSocket('hello', generation, paths());
    open.push(await openCallSocket({ ...own, path }));
    return path;
  }

  it('listen with the declared mode in a directory that all may pass', async () => {
    const path = await make(17);
    assert.equal(path, `${run}/rpc/hello/17`);
    assert.equal(statSync(path).mode & 0o7777, 0o640);
    assert.equal(statSync(`${run}/rpc/hello`).mode & 0o7777, 0o755);
    assert.ok(isListening(open[0] ?? -1));
    assert.equal(await connection(path), 'connected');
  });

  it('take the place of one that was not given away, and refuse when nobody has them any more', async () => {
    await make(17);
    const path = await make(17);
    assert.equal(await connection(path), 'connected');
    for (const fd of open.splice(0)) closeSync(fd);
    assert.equal(await connection(path), 'ECONNREFUSED');
  });

  it('go with their sandboxes, and by sweeping', async () => {
    const [first, second, third] = [await make(1), await make(2), await make(3)];
    removeCallSocket('plugin-hello-a-g1.service', paths());
    assert.ok(!existsSync(first));
    removeCallDirectory('hello', paths());
    sweepCallSockets(new Set(['plugin-hello-b-g3.scope', 'plugin-other-a-g2.service', 'no.unit']), paths());
    assert.deepEqual(readdirSync(`${run}/rpc/hello`), ['3']);
    assert.ok(!existsSync(second) && existsSync(third));
    removeCallSocket('plugin-hello-b-g3.scope', paths());
    removeCallDirectory('hello', paths());
    removeCallDirectory('hello', paths());
    assert.deepEqual(readdirSync(`${run}/rpc`), []);
  });

  it('say what keeps them from being made', async () => {
    const path = rpcSocket('hello', 1, paths());
    const nobody = openCallSocket({ ...own, user: 'no-such-user', path });
    await assert.rejects(nobody, { code: 'BH316', message: "there is no user 'no-such-user'" });
    const long = openCallSocket({ ...own, path: `${run}/rpc/${'x'.repeat(120)}/1` });
    await assert.rejects(long, { code: 'BH316' });
  });
});

function connection(path: string): Promise<string> {
  return new Promise((settle) => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      settle('connected');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
  });
}
