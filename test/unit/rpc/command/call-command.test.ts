import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Target } from '../plugin/target.ts';

const PROGRAM = fileURLToPath(new URL('../../../../src/rpc/command/call.js', import.meta.url));

function run(...words: string[]): Promise<{ status: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...words], (error, out, err) => {
      resolve({ status: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

describe('rpc: a call from a shell', function () {
  this.timeout(60_000);
  const target = new Target();
  before(() => target.start());
  after(() => target.remove());

  it('takes parameters as JSON or as they are, and writes the result', async () => {
    assert.deepEqual(await run(target.socket, 'add', '2', '3'), { status: 0, out: '5\n', err: '' });
    assert.equal((await run(target.socket, 'echo', 'hello you')).out, '"hello you"\n');
    assert.equal((await run(target.socket, 'echo', '{"a":[1,null]}')).out, '{"a":[1,null]}\n');
    assert.equal((await run(target.socket, 'bytes', '3')).out, '"YmJi"\n');
    assert.equal((await run(target.socket, 'bump')).out, '');
  });

  it('writes parts a line each, and the result behind them', async () => {
    assert.equal((await run(target.socket, 'count', '3')).out, '0\n1\n2\n3\n');
  });

  it('says what failed', async () => {
    const { status, out, err } = await run(target.socket, 'fail', 'my-code', 'my text', '[1]');
    assert.deepEqual({ status, out, err }, { status: 1, out: '', err: 'my-code: my text [1]\n' });
    assert.match((await run(`${target.directory}/none.sock`, 'x')).err, /^unavailable: /);
  });

  it('says how it is used', async () => {
    const { status, err } = await run(target.socket);
    assert.equal(status, 2);
    assert.match(err, /^usage: /);
  });
});
