import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { CreateMessageRequestSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { mcpClient, toolText } from '../support/mcp.ts';
import { checkout, prepare } from './native-programs.ts';
import { Bridge } from './stdio-bridge.ts';

const server = (name: string) =>
  join(checkout, 'node_modules', '@modelcontextprotocol', `server-${name}`, 'dist', 'index.js');

describe('plugin-stdio with public MCP servers and the official client', function () {
  this.timeout(60_000);
  before(prepare);
  const ends: (() => unknown)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  async function bridge(process: string, name: string, words: readonly string[] = []): Promise<Bridge> {
    const started = await Bridge.start([`--process=${process}`], ['/usr/bin/env', 'node', server(name), ...words]);
    ends.push(() => started.end());
    return started.ready();
  }

  async function client(at: Bridge, capabilities: object = {}): Promise<Client> {
    const made = await mcpClient(at.socket, capabilities);
    ends.push(() => made.close());
    return made;
  }

  for (const process of ['connection', 'shared']) {
    it(`offers server-everything, with a process that is ${process}`, async () => {
      const at = await bridge(process, 'everything', ['stdio']);
      const clients = await Promise.all([client(at), client(at), client(at)]);
      for (const each of clients) {
        assert.equal(each.getServerVersion()?.name, 'mcp-servers/everything');
        assert.ok((await each.listTools()).tools.some(({ name }) => name === 'echo'));
        assert.ok((await each.listPrompts()).prompts.length > 0);
        assert.ok((await each.listResources()).resources.length > 0);
        await each.ping();
      }
      const echoes = clients.flatMap((each, index) =>
        Array.from({ length: 20 }, async (_, n) => {
          const message = `client ${index}, message ${n}, "quoted" ü \u2028`;
          assert.equal(await toolText(each, 'echo', { message }), `Echo: ${message}`);
        }),
      );
      await Promise.all(echoes);
      const progress = await Promise.all(
        clients.map(async (each, index) => {
          const steps: number[] = [];
          const given = { duration: 0.2, steps: index + 2 };
          const onprogress = (step: { progress: number }) => steps.push(step.progress);
          await each.callTool({ name: 'trigger-long-running-operation', arguments: given }, undefined, { onprogress });
          return steps.length;
        }),
      );
      // The last one comes beside the answer, after which the official client may have stopped listening.
      progress.forEach((count, index) => {
        assert.ok(count === index + 2 || count === index + 1, String(progress));
      });
    });

    it(`offers server-filesystem, with a process that is ${process}`, async () => {
      const directory = realpathSync(mkdtempSync(join(tmpdir(), 'bulkhead-mcp-')));
      ends.push(() => rmSync(directory, { recursive: true, force: true }));
      const at = await bridge(process, 'filesystem', [directory]);
      const [one, other] = [await client(at), await client(at)];
      const path = join(directory, 'note.txt');
      const content = 'written by one client, read by another one\n'.repeat(2000);
      await toolText(one, 'write_file', { path, content });
      assert.equal(readFileSync(path, 'utf8'), content);
      assert.equal(await toolText(other, 'read_text_file', { path }), content);
      assert.match(await toolText(other, 'list_directory', { path: directory }), /note\.txt/);
      assert.match(await toolText(other, 'read_text_file', { path: '/etc/passwd' }), /denied/);
    });
  }

  it('lets a server with a process for each connection ask its client', async () => {
    const at = await bridge('connection', 'everything', ['stdio']);
    const asking = await client(at, { roots: {}, sampling: {} });
    asking.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: 'file:///srv', name: 'mine' }] }));
    asking.setRequestHandler(CreateMessageRequestSchema, () => ({
      role: 'assistant',
      model: 'none',
      content: { type: 'text', text: 'sampled' },
    }));
    assert.match(await toolText(asking, 'trigger-sampling-request', { prompt: 'x' }), /sampled/);
    assert.match(await toolText(asking, 'get-roots-list'), /srv/);
  });
});
