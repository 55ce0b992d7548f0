import assert from 'node:assert/strict';
import { cpSync, mkdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { forEachIsolation } from '../../support/isolation.ts';
import { GrpcLoad, helloClient, type ProtocolLoad, WebSocketLoad } from '../../support/protocol-load.ts';
import {
  declare,
  must,
  readySandboxes,
  status,
  systemctl,
  uninstall,
  until,
  untilWhole,
} from '../../support/system.ts';

const EXAMPLES = process.env.BULKHEAD_EXAMPLES ?? '/opt/bulkhead-test/examples';
const CLIENTS = 6;
const SIZE = 2;

interface Protocol {
  readonly title: string;
  readonly example: string;
  readonly port: number;
  load(): ProtocolLoad;
}

const PROTOCOLS: readonly Protocol[] = [
  {
    title: 'gRPC',
    example: 'grpc-node',
    port: 9601,
    load: () => new GrpcLoad(`${EXAMPLES}/grpc-node`, '127.0.0.1:9601', CLIENTS),
  },
  {
    title: 'WebSocket',
    example: 'websocket-node',
    port: 9602,
    load: () => new WebSocketLoad('ws://127.0.0.1:9602', CLIENTS),
  },
];

/** Resolves when others serve in the place of all that do now. */
async function replaceAll(name: string): Promise<void> {
  const before = (await readySandboxes(name)).map(({ unit }) => unit);
  assert.equal(before.length, SIZE);
  await must('bulkheadctl', 'recycle', name);
  await until(
    'all are replaced',
    async () => {
      const now = (await readySandboxes(name)).map(({ unit }) => unit);
      return now.length === SIZE && !now.some((unit) => before.includes(unit));
    },
    60_000,
  );
}

forEachIsolation('a plugin that speaks', function (isolation) {
  this.timeout(120_000);

  for (const { title, example, port, load } of PROTOCOLS)
    describe(title, () => {
      const name = `${example}-${isolation}`;
      let running: ProtocolLoad | undefined;

      before(async () => {
        mkdirSync(`/opt/plugin/${name}`, { recursive: true });
        for (const version of ['v1', 'v2'])
          cpSync(`${EXAMPLES}/${example}`, `/opt/plugin/${name}/${version}`, { recursive: true });
        declare(name, [
          'template: node',
          'version: v1',
          `listen: [{ tcp: 127.0.0.1:${port} }]`,
          `pool: { size: ${SIZE} }`,
          // Connections stay where they are, so few of them reach a canary: this is about who leaves, not who is better.
          'upgrade: { canary: [100%], bake: 1s, judge: { samples: 1, latency: infinity, memory: infinity } }',
        ]);
        await systemctl('start', `plugin@${name}`);
        await untilWhole(name, SIZE);
      });
      afterEach(async () => {
        await running?.stop();
        running = undefined;
      });
      after(() => uninstall(name));

      it('is served, and loses no call when its sandboxes are replaced one after the other', async () => {
        running = load();
        const { sandboxes } = running;
        await until('answers', () => sandboxes.size >= 1);
        await replaceAll(name);
        assert.deepEqual(await running.stop(), []);
        assert.ok(running.good > 0);
      });

      it('loses no call when another version takes over', async () => {
        running = load();
        const { sandboxes } = running;
        await until('answers', () => sandboxes.size >= 1);
        const before = new Set(sandboxes);
        await must('bulkheadctl', 'upgrade', name, 'v2');
        assert.equal((await status(name)).version, 'v2');
        await until('answers of the new version', () => [...sandboxes].some((sandbox) => !before.has(sandbox)));
        await pause(500);
        assert.deepEqual(await running.stop(), []);
      });

      if (title === 'gRPC')
        it('streams, and finishes streams that are open when it is replaced', async () => {
          const client = helloClient(`${EXAMPLES}/grpc-node`, `127.0.0.1:${port}`);
          const stream = client.greetOften({ name: 'you', times: 5000 });
          let parts = 0;
          const ended = new Promise((resolve, reject) => {
            stream.on('end', resolve);
            stream.on('error', reject);
          });
          // Read slowly, so that it is still open then.
          stream.on('data', () => {
            parts += 1;
            if (parts % 100 !== 0) return;
            stream.pause();
            setTimeout(() => stream.resume(), 50);
          });
          await until('parts', () => parts > 100);
          await replaceAll(name);
          await ended;
          assert.equal(parts, 5000);
          client.close();
        });
    });
});
