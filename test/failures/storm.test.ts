import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import type { Manager } from '../../src/control/manager.ts';
import { connectManager } from '../../src/control/manager-client.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { HttpLoad, pause } from '../support/load.ts';
import { installExample, installHostile, procStatus, run, supervisorPid, uninstall, until } from '../support/system.ts';
import { incidentsOf } from './incidents.ts';

const PLUGINS = Array.from({ length: 10 }, (_, index) => ({ name: `storm-${index}`, port: 9201 + index }));
const SIZE = 50;
const NEIGHBOUR = { name: 'sheltered', port: 9200 };
/** That many sandboxes take their time to start. */
const PATIENCE_MS = 240_000;
/** What the supervisor may hold, with five hundred sandboxes that all die at once (bytes). */
const MOST_MEMORY = 400 << 20;

describe('five hundred plugin processes that are killed at once', function () {
  this.timeout(2 * PATIENCE_MS);

  let manager: Manager;

  before(async () => {
    manager = await connectManager(systemClock, process.env, false);
    const listen = (port: number) => `listen: [{ tcp: 127.0.0.1:${port} }]`;
    installExample(NEIGHBOUR.name, 'c', [
      'template: native',
      'version: v1',
      listen(NEIGHBOUR.port),
      'pool: { size: 2 }',
    ]);
    for (const { name, port } of PLUGINS)
      installHostile(name, 'misbehave', [
        'template: native',
        'version: v1',
        'isolation: scope',
        listen(port),
        `pool: { size: ${SIZE} }`,
        'health: { start-timeout: 5min }',
      ]);
    await run('systemctl', 'start', '--no-block', ...[NEIGHBOUR, ...PLUGINS].map(({ name }) => `plugin@${name}`));
  });

  after(async () => {
    for (const { name } of PLUGINS) await run('systemctl', 'stop', '--no-block', `plugin@${name}`);
    for (const { name } of [...PLUGINS, NEIGHBOUR]) await uninstall(name);
    manager.release();
  });

  /** The living payloads of each plugin, as soon as all pools are whole. */
  async function whole(but: ReadonlySet<number>): Promise<Map<string, number[]>> {
    const pids = new Map<string, number[]>();
    for (const { name } of PLUGINS) {
      const isWhole = async () => {
        const { sandboxes } = await manager.status(name);
        const ready = sandboxes.filter(({ state, payloadPid }) => state === 'ready' && payloadPid !== null);
        const living = ready.map(({ payloadPid }) => payloadPid ?? 0).filter((pid) => !but.has(pid));
        pids.set(name, living);
        if (living.length < SIZE) await pause(500);
        return living.length === SIZE && sandboxes.length === SIZE;
      };
      await until(`'${name}' is whole`, isWhole, PATIENCE_MS);
    }
    return pids;
  }

  it('are each recovered once, within bounded memory; a well-behaved plugin beside them loses nothing', async () => {
    const before = await whole(new Set());
    const victims = [...before.values()].flat();
    assert.equal(victims.length, PLUGINS.length * SIZE);
    const generations = await newestGenerations();
    const load = new HttpLoad({
      target: { host: '127.0.0.1', port: NEIGHBOUR.port },
      connections: 4,
      keepAlive: false,
      thinkMs: 20,
    });
    await load.more(20);
    const supervisor = await supervisorPid();
    // Its peak counts from here on (proc_pid_clear_refs(5)).
    writeFileSync(`/proc/${supervisor}/clear_refs`, '5');
    const since = Date.now();
    const began = performance.now();
    for (const pid of victims) process.kill(pid, 'SIGKILL');
    await whole(new Set(victims));
    const took = performance.now() - began;
    const peak = Number.parseInt(procStatus(supervisor, 'VmHWM'), 10) << 10;
    console.log(`      whole again after ${(took / 1000).toFixed(1)} s; supervisor's peak ${peak >> 20} MiB`);
    await load.more(20);
    const { ok, lost } = await load.stop();
    assert.deepEqual(lost, []);
    assert.ok(ok > 100);
    assert.equal(await supervisorPid(), supervisor, 'the supervisor went on');
    for (const { name } of PLUGINS) {
      const starts = (await newestGeneration(name)) - (generations.get(name) ?? 0);
      assert.equal(starts, SIZE, `'${name}': one start for each death`);
      const died = await run(
        'journalctl',
        '-q',
        '-o',
        'cat',
        `--since=@${Math.floor(since / 1000)}`,
        `BULKHEAD_PLUGIN=${name}`,
        'BULKHEAD_EVENT=died',
      );
      assert.equal(died.stdout.trim().split('\n').length, SIZE, `'${name}': each death is told once`);
      const units = incidentsOf(name, since).map(({ incident }) => incident.unit);
      assert.equal(new Set(units).size, units.length, `'${name}': no death has two incidents`);
    }
    assert.ok(peak <= MOST_MEMORY);
  });

  async function newestGeneration(name: string): Promise<number> {
    const { sandboxes } = await manager.status(name);
    return Math.max(...sandboxes.map(({ generation }) => generation));
  }

  async function newestGenerations(): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for (const { name } of PLUGINS) found.set(name, await newestGeneration(name));
    return found;
  }
});
