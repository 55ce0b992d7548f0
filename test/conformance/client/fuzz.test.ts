import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { CallError, connect } from '../../../src/rpc/client/client.ts';
import { type AnswerJudgement, anyAnswer, judgeAnswers, type Outcome } from '../fuzz/answers.ts';
import { type Asked, GREETING, goodGreeting, HostileServer } from '../fuzz/hostile-server.ts';
import { anyValue } from '../fuzz/messages.ts';
import { Random, seedNow } from '../fuzz/random.ts';
import { behindLength, frame } from '../peer/pack.ts';
import { until } from '../target.ts';

/** How many frames; BULKHEAD_FRAMES=100000 is the long form. */
const FRAMES = Number(process.env.BULKHEAD_FRAMES ?? 5000);
const LIMIT = 4 * 1024 * 1024;
const CALLS = 6;
/** Longer (ms) than any call may take; it would be a call that never ends. */
const PATIENCE_MS = 60_000;
/** Growth (MiB) of what is used of the heap, between two moments without anything under way. */
const MOST_GROWTH = 16;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

type Settled = { readonly value: unknown } | { readonly error: unknown };

/** One client, its calls, and a server that sends it frames. */
class Round {
  frames = 0;
  judgement: AnswerJudgement | undefined;
  sent = Buffer.alloc(0);
  readonly #random: Random;
  /** By the number of the call. */
  readonly #ids = new Map<unknown, number>();

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  async run(server: HostileServer): Promise<void> {
    server.plan = {
      greeting: goodGreeting,
      requests: CALLS,
      answer: (asked) => this.#answer(asked),
      ends: () => this.judgement?.end === 'waiting',
    };
    const client = connect('hostile', { socket: server.path, retries: 0, timeoutMs: PATIENCE_MS, waitMs: 1000 });
    try {
      const settled = await Promise.all(
        Array.from({ length: CALLS }, (_, which) => settle(client.call('echo', [which]))),
      );
      for (const [which, how] of settled.entries()) this.#check(which, how);
    } finally {
      await client.close();
    }
  }

  /** Frames up to the first that ends the connection, and proper answers behind them where it goes on. */
  #answer(asked: readonly Asked[]): Buffer {
    const ids = new Set(asked.map(({ id }) => id));
    for (const { id, params } of asked) this.#ids.set(params[0], id);
    const order = [...ids];
    for (let most = 1 + this.#random.below(10); this.frames < most; ) {
      const id = order[this.#random.below(order.length)] ?? 0;
      this.frames += 1;
      this.sent = Buffer.concat([this.sent, anyAnswer(this.#random, id)]);
      this.judgement = judgeAnswers(this.sent, LIMIT, ids);
      if (this.judgement.end !== 'open') return this.sent;
    }
    const missing = order.filter((id) => this.judgement?.outcomes.has(id) !== true);
    this.sent = Buffer.concat([this.sent, ...missing.map((id) => frame([1, id, null, 'at last']))]);
    this.judgement = judgeAnswers(this.sent, LIMIT, ids);
    return this.sent;
  }

  #check(which: number, how: Settled): void {
    const judgement = this.judgement;
    assert.ok(judgement !== undefined, 'the server was not asked');
    const outcome = judgement.outcomes.get(this.#ids.get(which) ?? -1);
    const what = `call ${which}, of answers that are ${judgement.end} (${judgement.why})`;
    if ('value' in how) {
      assert.ok(outcome !== undefined && outcome.error === null, `${what}: it has a result`);
      if (outcome.sure) assert.ok(isDeepStrictEqual(how.value, outcome.result), `${what}: ${String(how.value)}`);
      return;
    }
    const { error } = how;
    assert.ok(error instanceof CallError, `${what}: ${String(error)}`);
    assert.match(error.code, /^[a-z0-9-]{1,64}$/);
    if (outcome?.sure) {
      assert.ok(outcome.error !== null, `${what}: ${error.code} ${error.message}`);
      assert.equal(error.code, codeOf(outcome), what);
    } else if (judgement.end === 'bad' && !judgement.mayEnd) assert.equal(error.code, 'bad-frame', what);
  }
}

function codeOf({ error }: Outcome): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^[a-z0-9-]{1,64}$/.test(code) ? code : 'remote';
}

function settle(call: Promise<unknown>): Promise<Settled> {
  return call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
}

describe('the client, of a server that sends anything', function () {
  this.timeout(60_000 + FRAMES * 60);
  let directory: string;
  let server: HostileServer;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'bulkhead-hostile-'));
    server = await HostileServer.up(join(directory, 'hostile.sock'));
  });
  afterEach(() => {
    server.down();
    rmSync(directory, { recursive: true, force: true });
    assert.deepEqual(server.faults, []);
  });

  it(`takes ${FRAMES} frames: every call ends, none with another answer, and nothing is left`, async () => {
    const seed = seedNow();
    const ends = { open: 0, bad: 0, waiting: 0 };
    let [sent, rounds] = [0, 0];
    const run = async (frames: number): Promise<void> => {
      for (const until = sent + frames; sent < until; rounds += 1) {
        const own = (seed + 7919 * rounds) >>> 0;
        const round = new Round(own);
        await round.run(server).catch((error) => {
          const { message } = error as Error;
          throw new Error(`BULKHEAD_SEED=${own}: ${message}\nsent: ${round.sent.subarray(0, 1000).toString('hex')}`);
        });
        sent += round.frames;
        if (round.judgement !== undefined) ends[round.judgement.end] += 1;
      }
      await until('all connections to end', () => server.connections === 0);
    };
    const used = (): number => {
      collect();
      return process.memoryUsage().heapUsed / 1024 / 1024;
    };
    await run(Math.ceil(FRAMES / 4));
    const before = { memory: used(), descriptors: readdirSync('/proc/self/fd').length };
    await run(Math.floor((FRAMES * 3) / 4));
    const least = FRAMES / 100;
    assert.ok(ends.open > least && ends.bad > least && ends.waiting > least / 4, JSON.stringify(ends));
    const grown = used() - before.memory;
    assert.ok(grown < MOST_GROWTH, `${grown.toFixed(1)} MiB grown by ${FRAMES} frames`);
    assert.ok(readdirSync('/proc/self/fd').length <= before.descriptors + 1);
    assert.ok(server.reasons.length > 0 && server.reasons.every((reason) => reason === 'bad-frame'));
  });

  it('takes any greeting: it is called, or it is not, and a call ends either way', async () => {
    const seed = seedNow();
    const seen = { answered: 0, failed: 0 };
    for (let each = 0; each < Math.max(60, FRAMES / 50); each += 1) {
      const random = new Random((seed + each) >>> 0);
      const wrong = random.pick([
        'protocol',
        'frame',
        'features',
        'window',
        'plugin',
        'version',
        'sandbox',
        'sdk',
        'more',
      ]);
      const greetings = [
        (id: number) => frame([1, id, null, { ...GREETING, [wrong]: anyValue(random) }]),
        (id: number) => frame([1, id, anyValue(random), anyValue(random)]),
        (id: number) => behindLength(random.bytes(1 + random.below(40 + id))),
      ] as const;
      server.plan = {
        greeting: random.pick(greetings),
        requests: 1,
        answer: ([asked]) => frame([1, asked?.id ?? 0, null, 'answer']),
        ends: () => false,
      };
      const client = connect('hostile', { socket: server.path, retries: 0, timeoutMs: 2000, waitMs: 50 });
      const how = await settle(client.call('echo', [1]));
      await client.close();
      if ('value' in how) {
        assert.equal(how.value, 'answer', `BULKHEAD_SEED=${seed} round ${each}`);
        seen.answered += 1;
      } else {
        assert.ok(how.error instanceof CallError, `BULKHEAD_SEED=${seed} round ${each}: ${String(how.error)}`);
        seen.failed += 1;
      }
    }
    assert.ok(seen.answered > 0 && seen.failed > 0, JSON.stringify(seen));
    await until('all connections to end', () => server.connections === 0);
  });
});
