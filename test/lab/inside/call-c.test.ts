/** The SDK for C, in sandboxes; and large binaries, which need calls of the kernel that its walls have to let through. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { connect, type PluginClient } from '../../../src/rpc/client/client.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import {
  declare,
  must,
  readySandboxes,
  run,
  systemctl,
  uninstall,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';

const EXAMPLE = '/usr/share/doc/bulkhead/examples/call-c';
/** Compiled where there is a compiler, beside these tests. */
const COMPILED = resolve('examples/call-c/main');
const TARGET = resolve('build/native/test/conformance-target');

const NODE_PROGRAM = `import { Plugin } from '/usr/lib/node_modules/bulkhead/plugin.js';
const plugin = new Plugin();
plugin.method('size', async (call, bytes) => bytes.length);
plugin.method('bytes', async (call, count) => Buffer.alloc(count, 'b'));
await plugin.serve();
`;

forEachIsolation('the example call-c', function (isolation) {
  this.timeout(120_000);
  const name = `call-c-${isolation}`;

  before(async () => {
    mkdirSync(`/opt/plugin/${name}/v1`, { recursive: true });
    cpSync(COMPILED, `/opt/plugin/${name}/v1/main`);
    declare(name, readFileSync(`${EXAMPLE}/call-c.yaml`, 'utf8').trim().split('\n'));
    await systemctl('start', `plugin@${name}`);
    await untilWhole(name, 1);
  });
  after(async () => {
    await uninstall(name);
    rmSync(`/var/lib/bulkhead/state/${name}`, { recursive: true, force: true });
  });

  async function call(...words: readonly string[]): Promise<unknown> {
    return JSON.parse(await must('bulkheadctl', 'call', name, ...words)) as unknown;
  }

  it('answers, and in parts', async () => {
    assert.equal(await call('add', 'milk is out'), 0);
    assert.equal(await call('add', 'buy milk'), 1);
    assert.equal(await must('bulkheadctl', 'call', name, 'find', 'milk', '--stream'), '"milk is out"\n"buy milk"\n2\n');
    const { status, stderr } = await run('bulkheadctl', 'call', name, 'add', '7');
    assert.notEqual(status, 0);
    assert.match(stderr, /bad-params/);
  });

  it('finds its notes again when it was killed', async () => {
    const [sandbox] = await readySandboxes(name);
    assert.ok(typeof sandbox?.payloadPid === 'number');
    process.kill(sandbox.payloadPid, 'SIGKILL');
    await untilReplaced(name, 1, sandbox.unit);
    assert.equal(await call('count', '20'), 5);
  });

  it('ends when it is told to', async () => {
    const [sandbox] = await readySandboxes(name);
    await systemctl('stop', `plugin@${name}`);
    const journal = await must('journalctl', '-u', 'bulkheadd', '-o', 'cat', '--no-pager', '-n', '200');
    assert.match(journal, new RegExp(`'${(sandbox?.unit ?? '').replaceAll('\\', '\\\\')}': exit status 0`));
  });
});

forEachIsolation('large binaries', function (isolation) {
  this.timeout(120_000);
  for (const language of ['c', 'node']) {
    it(`go to a plugin in ${language} and come back, though no message has room for them`, async () => {
      const name = `bodies-${language}-${isolation}`;
      const directory = `/opt/plugin/${name}/v1`;
      mkdirSync(directory, { recursive: true });
      if (language === 'c') cpSync(TARGET, `${directory}/main`);
      else writeFileSync(`${directory}/main.js`, NODE_PROGRAM);
      if (language === 'node') writeFileSync(`${directory}/package.json`, '{"type":"module"}');
      const template = language === 'c' ? 'native' : 'node';
      declare(name, [`template: ${template}`, 'version: v1', 'rpc: {}', 'health: { ready: notify }']);
      let client: PluginClient | undefined;
      try {
        await systemctl('start', `plugin@${name}`);
        const [before] = await untilWhole(name, 1).then(() => readySandboxes(name));
        client = connect(name, { timeoutMs: 60_000, retries: 0 });
        await client.ready();
        assert.equal(await client.call('size', [Buffer.alloc(9_000_000)]), 9_000_000);
        const bytes = (await client.call('bytes', [9_000_000])) as Uint8Array;
        assert.ok(bytes.length === 9_000_000 && bytes.every((byte) => byte === 0x62));
        const [after] = await readySandboxes(name);
        assert.equal(after?.unit, before?.unit, 'it was replaced');
      } finally {
        await client?.close();
        await uninstall(name);
      }
    });
  }
});
