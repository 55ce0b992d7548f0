import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RpcServer } from '../../../support/rpc-server.ts';
import { PROJECT } from '../../project.ts';

describe('example: a main service', () => {
  const directory = mkdtempSync(join(tmpdir(), 'main-service-'));
  let notes: RpcServer;
  let service: ChildProcess;
  let base = '';

  before(async () => {
    // As npm would: the package is found by its name.
    const packaged = join(directory, 'node_modules/bulkhead');
    mkdirSync(packaged, { recursive: true });
    const exports = { './client': './client.js' };
    writeFileSync(join(packaged, 'package.json'), JSON.stringify({ name: 'bulkhead', type: 'module', exports }));
    const client = pathToFileURL(join(PROJECT, 'build/js/src/rpc/client/client.js')).href;
    writeFileSync(join(packaged, 'client.js'), `export * from '${client}';\n`);
    writeFileSync(join(directory, 'package.json'), JSON.stringify({ type: 'module' }));
    copyFileSync(join(PROJECT, 'templates/examples/main-service/main-service.js'), join(directory, 'main-service.js'));
    const socket = join(directory, 'notes.sock');
    const kept: unknown[] = [];
    notes = await RpcServer.listen(socket, {
      request: ({ id, method, params }, connection) => {
        if (method === 'add') connection.send([1, id, null, kept.push(params[0]) - 1]);
        else if (method === 'find') {
          for (const note of kept) connection.send([2, '$item', [id, note]]);
          connection.send([1, id, null, kept.length]);
        }
      },
    });
    service = spawn(process.execPath, ['main-service.js', '--socket', socket, '0'], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(service.stdout ?? assert.fail(), 'data')) as [Buffer];
    base = `http://localhost:${/port (\d+)/.exec(line.toString())?.[1]}`;
  });
  after(() => {
    service.kill('SIGKILL');
    notes.die();
    rmSync(directory, { recursive: true });
  });

  it('keeps and finds notes', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const added = await fetch(`${base}/notes`, { method: 'POST', body: 'milk is out', headers: { traceparent } });
    assert.equal(added.status, 201);
    assert.deepEqual(await added.json(), { number: 0 });
    assert.equal(notes.requests[0]?.meta.traceparent, traceparent);
    assert.equal(await (await fetch(`${base}/notes?word=milk`)).text(), 'milk is out\n');
  });

  it('refuses what is too large', async () => {
    const refused = await fetch(`${base}/notes`, { method: 'POST', body: 'x'.repeat(10_001) });
    assert.equal(refused.status, 413);
  });

  it('ends when it is asked to', async () => {
    service.kill('SIGTERM');
    const [code] = (await once(service, 'exit')) as [number | null];
    assert.equal(code, 0);
  });
});
