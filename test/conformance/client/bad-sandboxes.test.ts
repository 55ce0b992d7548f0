import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type BreakerEvent, CallError, connect, type PluginClient } from '../../../src/rpc/client/client.ts';
import { DiscoveryServer } from '../../support/discovery-server.ts';
import { type Mood, MoodyServer } from '../fuzz/moody-server.ts';
import { kinds, Target, until } from '../target.ts';

/** Callers at a time, each with one call under way and a little pause. */
const CALLERS = 12;
const CALL_MS = 2000;
const SLOW_MS = 300;
/** How long it goes badly: the breaker is tried many times. */
const BAD_MS = 3000;
/** Memory (MiB) that a client may come to need because of a sandbox that is ill. */
const MOST_GROWTH = 64;
const BAD = 3;

/** What callers saw between two moments. */
class Tally {
  readonly latencies: number[] = [];
  readonly failures: CallError[] = [];

  /** Of all that ended, in ms. */
  quantile(part: number): number {
    const sorted = [...this.latencies].sort((one, other) => one - other);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  }
}

class Callers {
  tally = new Tally();
  #running = true;
  readonly #workers: Promise<void>[];

  constructor(client: PluginClient) {
    this.#workers = Array.from({ length: CALLERS }, () => this.#work(client));
  }

  /** What was seen so far; what comes is counted anew. */
  take(): Tally {
    const { tally } = this;
    this.tally = new Tally();
    return tally;
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#workers);
  }

  async #work(client: PluginClient): Promise<void> {
    for (let call = 0; this.#running; call += 1) {
      const began = performance.now();
      try {
        assert.equal(await client.call('echo', [call]), call);
      } catch (error) {
        assert.ok(error instanceof CallError, String(error));
        this.tally.failures.push(error);
      }
      this.tally.latencies.push(performance.now() - began);
      await pause(10);
    }
  }
}

/** Two sandboxes that are well, programs of an SDK, and one that is put into every mood. */
describe('a client of three sandboxes, one of which', function () {
  this.timeout(180_000);
  let directory: string;
  let discovery: DiscoveryServer;
  let bad: MoodyServer;
  let well: Target[];
  let client: PluginClient;
  let callers: Callers;
  let events: BreakerEvent[];
  const heard = (event: unknown): void => {
    const breaker = event as BreakerEvent;
    if (breaker.generation === BAD) events.push(breaker);
  };

  before(async () => {
    const [kind] = kinds();
    assert.ok(kind !== undefined);
    well = await Promise.all([Target.start(kind), Target.start(kind)]);
  });
  after(() => Promise.all((well ?? []).map((target) => target.remove())));

  beforeEach(async () => {
    events = [];
    subscribe('bulkhead:breaker', heard);
    directory = mkdtempSync(join(tmpdir(), 'bulkhead-moody-'));
    bad = await MoodyServer.up(join(directory, 'bad.sock'));
    discovery = await DiscoveryServer.listen(join(directory, 'discovery'));
    const sockets = [...well.map(({ socket }) => socket), join(directory, 'bad.sock')];
    discovery.sandboxes(...sockets.map((socket, index) => ({ generation: index + 1, socket })));
    client = connect('test', {
      discovery: join(directory, 'discovery'),
      idempotent: ['echo'],
      timeoutMs: CALL_MS,
      slowMs: SLOW_MS,
    });
    await client.ready({ timeoutMs: 20_000 });
    callers = new Callers(client);
    await until('calls of all three', () => client.statistics().sandboxes.every(({ calls }) => calls > 20));
  });
  afterEach(async () => {
    bad.mood = 'well';
    await callers.stop();
    await client.close();
    discovery.die();
    bad.down();
    unsubscribe('bulkhead:breaker', heard);
    rmSync(directory, { recursive: true, force: true });
  });

  const MOODS: Readonly<Record<Exclude<Mood, 'well'>, string>> = {
    slow: 'is slow',
    hung: 'hangs',
    garbage: 'answers garbage',
    deaf: 'never reads',
  };
  for (const [mood, title] of Object.entries(MOODS))
    it(`${title}, keeps calls away from it while it is ill, tries it, and lets them back when it is well`, async () => {
      const before = process.memoryUsage().rss;
      callers.take();
      bad.mood = mood as Mood;
      await until('the breaker to open', () => events.some(({ state }) => state === 'open'));
      await pause(500);
      callers.take();
      const asked = bad.asked;
      await pause(BAD_MS);
      const ill = callers.take();
      const grown = (process.memoryUsage().rss - before) / 1024 / 1024;
      // Its trials, and no more: of that many calls it would have had a third.
      const tried = bad.asked - asked;
      assert.ok(ill.latencies.length > 100, `${ill.latencies.length} calls`);
      assert.ok(tried < ill.latencies.length / 20, `${tried} of ${ill.latencies.length} calls went to who is ill`);
      if (mood !== 'deaf')
        assert.ok(
          events.some(({ state }) => state === 'half-open'),
          JSON.stringify(events),
        );
      // Others are there, and the calls may be repeated: nobody has to know of it, and almost nobody to wait.
      assert.deepEqual(
        ill.failures.map(({ code, message }) => `${code}: ${message}`),
        [],
      );
      assert.ok(ill.quantile(0.9) < SLOW_MS, `${ill.quantile(0.9).toFixed(0)} ms`);
      assert.ok(ill.quantile(1) <= CALL_MS + 1000, `${ill.quantile(1).toFixed(0)} ms`);
      assert.ok(grown < MOST_GROWTH, `${grown.toFixed(0)} MiB`);

      bad.mood = 'well';
      const again = bad.asked;
      await until('the breaker to close', () => events.at(-1)?.state === 'closed', 90_000);
      await until('calls of it', () => bad.asked > again + 20);
      assert.equal(client.statistics().sandboxes.find(({ generation }) => generation === BAD)?.breaker, 'closed');
    });
});
