/** Binaries that no message has room for, which need calls of the kernel that the walls have to let through. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { connect, type PluginClient } from '../../../src/rpc/client/client.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import { declare, readySandboxes, systemctl, uninstall, untilWhole } from '../../support/system.ts';

const BYTES = 9_000_000;

interface Language {
  readonly name: string;
  readonly template: string;
  /** Puts the program into the version's directory. */
  install(directory: string): void;
}

const LANGUAGES: readonly Language[] = [
  {
    name: 'C',
    template: 'native',
    install: (directory) => cpSync(resolve('build/native/test/conformance-target'), `${directory}/main`),
  },
  {
    name: 'JavaScript',
    template: 'node',
    install(directory) {
      writeFileSync(`${directory}/package.json`, '{"type":"module"}');
      writeFileSync(
        `${directory}/main.js`,
        `import { Plugin } from '/usr/lib/node_modules/bulkhead/plugin.js';
const plugin = new Plugin();
plugin.method('size', async (call, bytes) => bytes.length);
plugin.method('bytes', async (call, count) => Buffer.alloc(count, 'b'));
await plugin.serve();
`,
      );
    },
  },
  {
    name: 'Python',
    template: 'python',
    install: (directory) =>
      writeFileSync(
        `${directory}/main.py`,
        `from bulkhead import Plugin
plugin = Plugin()
@plugin.method
async def size(call, data):
    return len(data)
@plugin.method
async def bytes(call, count):
    return b"b" * count
plugin.run()
`,
      ),
  },
];

forEachIsolation('large binaries', function (isolation) {
  this.timeout(120_000);
  for (const language of LANGUAGES) {
    it(`go to a plugin in ${language.name} and come back, though no message has room for them`, async () => {
      const name = `bodies-${language.template}-${isolation}`;
      mkdirSync(`/opt/plugin/${name}/v1`, { recursive: true });
      language.install(`/opt/plugin/${name}/v1`);
      declare(name, [`template: ${language.template}`, 'version: v1', 'rpc: {}', 'health: { ready: notify }']);
      let client: PluginClient | undefined;
      try {
        await systemctl('start', `plugin@${name}`);
        await untilWhole(name, 1);
        const [before] = await readySandboxes(name);
        client = connect(name, { timeoutMs: 60_000, retries: 0 });
        await client.ready();
        assert.equal(await client.call('size', [Buffer.alloc(BYTES)]), BYTES);
        const bytes = (await client.call('bytes', [BYTES])) as Uint8Array;
        assert.ok(bytes.length === BYTES && bytes.every((byte) => byte === 0x62));
        const [after] = await readySandboxes(name);
        assert.equal(after?.unit, before?.unit, 'it was replaced');
      } finally {
        await client?.close();
        await uninstall(name);
      }
    });
  }
});
