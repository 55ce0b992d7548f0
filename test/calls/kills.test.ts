import assert from 'node:assert/strict';
import type { PluginClient } from '../../src/rpc/client/client.ts';
import { pause } from '../support/load.ts';
import { readySandboxes, uninstall } from '../support/system.ts';
import { CallLoad, describeFailed, type FailedCall } from './call-load.ts';
import { LANGUAGES, PATIENCE_MS, startCalled } from './called-plugin.ts';
import { Follower } from './follower.ts';

/** Sandboxes that are killed, one a second, in all languages together. `BULKHEAD_KILLS=120` each for what is promised (docs/hacking.md). */
const KILLS = Number(process.env.BULKHEAD_KILLS ?? Math.ceil(20 / LANGUAGES.length));
const SIZE = 3;
const STANDBY = 1;
/** What a call in the hands of a dead one may take to fail: far less than its time, far more than a token takes; ms. */
const AT_ONCE_MS = 10_000;
/** The least that counts for calls that may be made twice. */
const LEAST_AVAILABILITY = 0.9997;

interface Kill {
  readonly generation: number;
  readonly at: number;
}

describe('a sandbox that is killed every second', function () {
  this.timeout(600_000 + KILLS * 5000);

  for (const each of LANGUAGES)
    it(`costs a caller of ${each.language} no call that may be made twice, and others what it had in its hands`, async () => {
      const name = `killed-${each.language}`;
      let client: PluginClient | undefined;
      let follower: Follower | undefined;
      try {
        client = await startCalled(
          name,
          each,
          { size: SIZE, standby: STANDBY },
          // It is the test that kills: no wait for a better time, and no end of patience.
          'recovery: { budget: { restarts: 1000, within: 60s }, backoff: { initial: 10ms, max: 10ms }, crash: [replace], exit: [quarantine] }',
        );
        follower = new Follower(name);
        const common = { timeoutMs: PATIENCE_MS, right: (answer: unknown, n: number) => answer === n };
        const echo = { ...common, method: 'echo', params: (n: number) => [n] };
        const twice = new CallLoad(client, { ...echo, callers: 16, idempotent: true });
        const once = new CallLoad(client, { ...echo, callers: 8, idempotent: false });
        const long = new CallLoad(client, {
          ...{ callers: 8, method: 'sleep', params: () => [200], idempotent: false, timeoutMs: PATIENCE_MS },
          right: (answer) => answer === 'slept',
        });
        const kills = await killEachSecond(name, follower);
        for (const load of [twice, once, long]) await load.stop();
        const all = [twice, once, long].reduce((sum, { made }) => sum + made, 0);
        process.stdout.write(
          `      ${each.language}: ${kills.length} kills, ${all} calls; idempotent ${percent(twice)} of ${twice.made}, ` +
            `longest ${Math.round(twice.longestMs)} ms; others ${percent(once)} of ${once.made}, ` +
            `of 200 ms ${percent(long)} of ${long.made}; told after ${slowest([...once.failed, ...long.failed], kills)} ms at most\n`,
        );
        assert.ok(twice.availability >= LEAST_AVAILABILITY);
        assert.equal(twice.failed.length, 0, describeFailed(twice.failed));
        assert.deepEqual([twice.wrong, once.wrong, long.wrong], [0, 0, 0]);
        assert.ok(long.failed.length > 0, 'no kill found a call in the hands of its victim');
        for (const failed of [...once.failed, ...long.failed]) {
          const { error, endedAt } = failed;
          const said = describeFailed([failed]);
          const kill = kills.find(({ generation }) => generation === error.generation);
          assert.ok(kill !== undefined, `it was in the hands of nobody who died: ${said}`);
          assert.equal(error.code, 'sandbox-died', said);
          assert.equal(error.class, 'crash', said);
          assert.match(error.incident ?? 'none', new RegExp(`^\\d{8}T\\d{6}-${name}-\\d+$`), said);
          assert.ok(endedAt - kill.at < AT_ONCE_MS, `it took ${endedAt - kill.at} ms: ${said}`);
        }
      } finally {
        follower?.release();
        await client?.close();
        await uninstall(name);
      }
    });
});

/** Kills one that serves, each second, unless nobody else could serve instead. */
async function killEachSecond(name: string, follower: Follower): Promise<Kill[]> {
  const kills: Kill[] = [];
  for (let next = performance.now(); kills.length < KILLS; next = Math.max(next + 1000, performance.now())) {
    await pause(Math.max(0, next - performance.now()));
    await follower.untilTold('more than one', (all) => all.filter(({ state }) => state !== 'draining').length > 1);
    const serving = follower.sandboxes.filter(({ state }) => state === 'ready').map(({ generation }) => generation);
    const able = (await readySandboxes(name)).filter(({ generation }) => serving.includes(generation));
    const victim = able[kills.length % Math.max(1, able.length)];
    if (victim?.payloadPid == null) continue;
    kills.push({ generation: victim.generation, at: performance.now() });
    process.kill(victim.payloadPid, 'SIGKILL');
    await follower.crashOf(victim.generation);
  }
  return kills;
}

/** How long after the kill a call in the hands of its victim has failed, at most; ms. */
function slowest(failed: readonly FailedCall[], kills: readonly Kill[]): number {
  const times = failed.map(({ error, endedAt }) => {
    const kill = kills.find(({ generation }) => generation === error.generation);
    return kill === undefined ? Number.NaN : endedAt - kill.at;
  });
  return Math.round(Math.max(0, ...times));
}

function percent({ availability }: CallLoad): string {
  return `${(100 * availability).toFixed(4)} %`;
}
