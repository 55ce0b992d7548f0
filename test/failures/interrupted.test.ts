import assert from 'node:assert/strict';
import type { SandboxStatus } from '../../src/control/api.ts';
import type { Manager } from '../../src/control/manager.ts';
import { connectManager } from '../../src/control/manager-client.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { forEachIsolation } from '../support/isolation.ts';
import { HttpLoad, pause } from '../support/load.ts';
import { installHostile, run, sandboxUnits, supervisorPid, systemctl, uninstall, until } from '../support/system.ts';
import { incidentsOf, storyOf } from './incidents.ts';
import { unexcused } from './losses.ts';

const NAME = 'interrupted';
const PORT = 9280;
const SIZE = 2;
/** For each kind of isolation. `BULKHEAD_KILLS=5`: fewer, while it is worked on. */
const TIMES = Number(process.env.BULKHEAD_KILLS ?? 25);
/** A recovery is over well within it (ms). */
const LONGEST_DELAY_MS = 300;

/** What its sandboxes are killed with: failures that are alike may be one incident. */
const SIGNALS = ['SIGKILL', 'SIGSEGV'] as const;

forEachIsolation('the supervisor, killed at random during recoveries', function () {
  this.timeout(240_000);

  let manager: Manager;

  before(async () => {
    manager = await connectManager(systemClock, process.env, false);
  });
  after(async () => {
    await uninstall(NAME);
    manager.release();
  });

  /** All of it, when all are ready; those that serve come first. */
  async function whole(): Promise<readonly SandboxStatus[]> {
    let found: readonly SandboxStatus[] = [];
    const isWhole = async () => {
      const { sandboxes } = await manager.status(NAME).catch(() => ({ sandboxes: [] }));
      found = [...sandboxes].sort((one, other) => Number(one.standby) - Number(other.standby));
      const ready = sandboxes.filter(({ state, payloadPid }) => state === 'ready' && payloadPid !== null);
      return ready.length === SIZE + 1 && sandboxes.length === SIZE + 1 && found.at(-2)?.standby === false;
    };
    await until('the pool is whole', isWhole, 60_000);
    return found;
  }

  /** Units of it that something was noted of since then, as the journal has it. */
  async function noted(event: string, since: number): Promise<string[]> {
    const fields = [`BULKHEAD_PLUGIN=${NAME}`, `BULKHEAD_EVENT=${event}`];
    const words = [
      '-q',
      '-o',
      'json',
      '--output-fields=BULKHEAD_UNIT',
      `--since=@${Math.floor(since / 1000)}`,
      ...fields,
    ];
    const { stdout } = await run('journalctl', ...words);
    const lines = stdout.split('\n').filter(Boolean);
    const entries = lines.map((line) => JSON.parse(line) as { BULKHEAD_UNIT?: string; __REALTIME_TIMESTAMP: string });
    return entries
      .filter(({ __REALTIME_TIMESTAMP: at }) => Number(at) / 1000 >= since)
      .map(({ BULKHEAD_UNIT: unit }) => String(unit));
  }

  it(`${TIMES} times, loses no decision and makes none twice`, async () => {
    installHostile(NAME, 'misbehave', [
      'template: native',
      'version: v1',
      `listen: [{ tcp: 127.0.0.1:${PORT} }]`,
      `pool: { size: ${SIZE}, standby: 1 }`,
      'recovery: { budget: { restarts: 1000, within: 10min }, backoff: { initial: 10ms, max: 10ms, jitter: 0% } }',
    ]);
    await systemctl('start', `plugin@${NAME}`);
    await whole();
    // One that stood by may have been faster than one that was to serve, which is then one too many for a moment.
    await pause(1000);
    const before = await whole();
    const since = Date.now();
    const victims: string[] = [];
    const load = new HttpLoad({
      target: { host: '127.0.0.1', port: PORT },
      connections: 4,
      keepAlive: false,
      thinkMs: 10,
    });
    for (let n = 0; n < TIMES; n++) {
      const [victim] = await whole();
      assert.ok(victim);
      victims.push(victim.unit);
      process.kill(victim.payloadPid ?? 0, SIGNALS[n % SIGNALS.length]);
      await pause(Math.random() * LONGEST_DELAY_MS);
      process.kill(await supervisorPid(), 'SIGKILL');
    }
    const left = (await whole()).map(({ unit }) => unit);
    const { lost } = await load.stop();
    assert.deepEqual(unexcused(lost, TIMES, performance.now()), []);
    assert.deepEqual((await sandboxUnits(NAME)).sort(), [...left].sort(), 'nothing runs that is not known');
    // Nothing became ready but what died of it or is left. A start that was under way when the supervisor was killed may
    // have been begun anew, under another name.
    const known = new Set([...before.map(({ unit }) => unit), ...victims, ...left]);
    assert.deepEqual(
      (await noted('ready', since)).filter((unit) => !known.has(unit)),
      [],
    );
    assert.equal(known.size, TIMES + SIZE + 1, 'each death was made good once');
    // The journal may lack what the supervisor was about to say when it was killed; it has nothing twice.
    const died = (await noted('died', since)).filter((unit) => known.has(unit));
    assert.equal(new Set(died).size, died.length, died.join('\n'));
    // Each is an incident, or a part of one for failures that are alike.
    const incidents = incidentsOf(NAME, since);
    const stories = incidents.map(storyOf).join('\n');
    for (const unit of victims) {
      const about = incidents.flatMap(({ incident, steps }) => [
        ...(incident.unit === unit ? [unit] : []),
        ...steps.filter(({ text }) => text.startsWith(`'${unit}': `)),
      ]);
      assert.equal(about.length, 1, `'${unit}'\n${stories}`);
    }
    const promoted = incidents.flatMap(({ incident }) => /promote ([^ ,]+)/.exec(incident.action)?.[1] ?? []);
    assert.equal(new Set(promoted).size, promoted.length, stories);
  });
});
