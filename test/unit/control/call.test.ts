import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommandLine } from '../../../src/control/run.ts';
import { VERBS } from '../../../src/control/verb-table.ts';
import { RpcServer } from '../../support/rpc-server.ts';
import { until } from '../../support/until.ts';
import { FakeWorld } from './support/fake-world.ts';

describe('bulkheadctl call', () => {
  const directory = mkdtempSync(join(tmpdir(), 'call-'));
  const socket = join(directory, 'plugin.sock');
  let server: RpcServer;
  let world: FakeWorld;

  before(async () => {
    server = await RpcServer.listen(socket, {
      request: ({ id, method, params }, connection) => {
        if (method === 'parts') {
          for (const part of [1, 'two']) connection.send([2, '$item', [id, part]]);
          connection.send([1, id, null, params[0] ?? null]);
        } else if (method === 'fail') connection.send([1, id, { code: 'no-such', message: 'none', data: [1] }, null]);
        else if (method === 'echo') connection.send([1, id, null, params]);
        else if (method === 'bytes') connection.send([1, id, null, { all: [Buffer.from('hi')] }]);
      },
    });
  });
  after(() => {
    server.die();
    rmSync(directory, { recursive: true });
  });
  beforeEach(() => {
    world = new FakeWorld();
  });

  const run = async (...words: string[]): Promise<string> => {
    world.out.text = '';
    world.err.text = '';
    const ended = await runCommandLine(['call', ...words], VERBS, world);
    return `${ended} ${world.out.text}${world.err.text}`;
  };

  it('takes JSON and words, and prints JSON', async () => {
    const printed = await run(socket, 'echo', '{"a": 1}', '2', 'a word', '"3"', 'null');
    assert.equal(printed[0], '0');
    assert.deepEqual(JSON.parse(printed.slice(2)), [{ a: 1 }, 2, 'a word', '3', null]);
  });

  it('shows bytes', async () => {
    const printed = await run(socket, 'bytes');
    assert.deepEqual(JSON.parse(printed.slice(2)), { all: [{ base64: 'aGk=' }] });
  });

  it('prints parts, and what comes in the end', async () => {
    assert.equal(await run(socket, 'parts', '--stream'), '0 1\n"two"\n');
    assert.equal(await run(socket, 'parts', '-s', '3'), '0 1\n"two"\n3\n');
  });

  it('says how it failed', async () => {
    assert.match(await run(socket, 'fail'), /^1 .*BH433 the call failed: no-such: none \[1\]/);
    assert.match(await run(socket, 'hangs', '--timeout', '1'), /^1 .*deadline-exceeded/s);
  });

  it('refuses what is no call', async () => {
    assert.match(await run(socket, 'echo', '{a: 1}'), /^2 .*BH401.*not valid JSON/);
    assert.match(await run(socket, '$cancel'), /^2 .*BH401.*belong to the protocol/);
    assert.match(await run('No Name', 'echo'), /^2 .*BH109/);
    assert.match(await run(socket, 'echo', '--timeout', '0'), /^2 .*BH401/);
  });

  it('gives up when it is interrupted', async () => {
    const { length } = server.requests;
    const running = run(socket, 'hangs');
    await until(() => server.requests.length > length);
    world.interrupt();
    assert.match(await running, /^1 .*cancelled/);
  });
});
