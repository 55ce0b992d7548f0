import assert from 'node:assert/strict';
import type { PluginClient } from '../../src/rpc/client/client.ts';
import { pause } from '../support/load.ts';
import { status, uninstall } from '../support/system.ts';
import { upgrade } from '../upgrades/versions.ts';
import { CallLoad, describeFailed } from './call-load.ts';
import { LANGUAGES, PATIENCE_MS, startCalled } from './called-plugin.ts';

const SIZE = 2;
/** Parts of each stream, and the time between two of them (ms): some are open at each moment of an upgrade. */
const PARTS = 100;
const PART_MS = 20;

describe('an upgrade while calls and streams are under way', function () {
  this.timeout(600_000);

  for (const each of LANGUAGES) {
    it(`loses neither in ${each.language}: what is open ends on the old side`, async () => {
      const name = `called-${each.language}`;
      let client: PluginClient | undefined;
      try {
        client = await startCalled(
          name,
          each,
          { size: SIZE },
          'upgrade: { canary: [30%], bake: 1s, drain: 30s, judge: { few: promote, latency: infinity, memory: infinity } }',
        );
        const load = new CallLoad(client, {
          ...{ callers: 8, method: 'echo', params: (n) => [n], idempotent: false, timeoutMs: PATIENCE_MS },
          right: (answer, n) => answer === n,
        });
        const streams = new Streams(client, 4);
        for (const version of ['v2', 'v1']) {
          const { outcome, reason } = await upgrade(name, version);
          assert.deepEqual({ outcome, reason }, { outcome: 'promoted', reason: null });
          assert.equal((await status(name)).version, version);
        }
        await load.stop();
        await streams.stop();
        assert.deepEqual([load.failed.length, load.wrong], [0, 0], describeFailed(load.failed));
        assert.equal(load.good, load.made);
        assert.deepEqual(streams.wrong, []);
        assert.ok(streams.whole > 4, `${streams.whole} streams`);
        // Nobody of the old side is left who has something in hand.
        const { sandboxes } = client.statistics();
        assert.deepEqual(
          sandboxes.map(({ version, outstanding }) => `${version} ${outstanding}`),
          Array.from({ length: SIZE }, () => 'v1 0'),
        );
      } finally {
        await client?.close();
        await uninstall(name);
      }
    });
  }

  it('goes on elsewhere with a stream that is longer than the old side has time, as it is declared', async () => {
    const name = 'resumed-python';
    const [each] = LANGUAGES;
    assert.ok(each !== undefined);
    let client: PluginClient | undefined;
    try {
      client = await startCalled(
        name,
        each,
        { size: 1 },
        'upgrade: { canary: [], bake: 1s, drain: 2s, judge: { few: promote } }',
      );
      const parts = 500;
      let received = 0;
      const reading = (async (owned: PluginClient) => {
        const resume = (had: number) => [parts - had, PART_MS];
        for await (const _ of owned.stream('count', [parts, PART_MS], { idempotent: true, resume })) received++;
      })(client);
      await pause(500);
      const { outcome } = await upgrade(name, 'v2');
      assert.equal(outcome, 'promoted');
      assert.ok(received < parts, 'the stream was over before the old side was');
      await reading;
      assert.equal(received, parts);
      assert.equal(client.statistics().calls.retries, 1);
    } finally {
      await client?.close();
      await uninstall(name);
    }
  });
});

/** Streams one after the other, each of which is to come whole and in order. */
class Streams {
  whole = 0;
  readonly wrong: string[] = [];
  readonly #client: PluginClient;
  readonly #readers: readonly Promise<void>[];
  #stopped = false;

  constructor(client: PluginClient, readers: number) {
    this.#client = client;
    this.#readers = Array.from({ length: readers }, () => this.#run());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#readers);
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const parts: unknown[] = [];
      try {
        for await (const part of this.#client.stream('count', [PARTS, PART_MS], { idleMs: PATIENCE_MS }))
          parts.push(part);
        if (parts.length === PARTS && parts.every((part, index) => part === index)) this.whole++;
        else this.wrong.push(`${parts.length} parts, ${parts.slice(0, 5).join(' ')}`);
      } catch (error) {
        this.wrong.push(`${error} after ${parts.length} parts`);
        // Not a storm of what fails at once.
        await pause(100);
      }
    }
  }
}
