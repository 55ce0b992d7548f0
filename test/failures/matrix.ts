import assert from 'node:assert/strict';
import type { Manager } from '../../src/control/manager.ts';
import { connectManager } from '../../src/control/manager-client.ts';
import type { Isolation } from '../../src/declare/declaration.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { HttpLoad } from '../support/load.ts';
import { installExample, run, uninstall, until } from '../support/system.ts';
import { saveResults } from './results.ts';
import type { Measured, Row } from './row.ts';
import { Summaries, Trial } from './trial.ts';
import { judgeWhy } from './why.ts';

/** `BULKHEAD_ROWS=segv,deadlock`: just these, while they are worked on. */
const ONLY = process.env.BULKHEAD_ROWS?.split(',');

const NEIGHBOUR = { name: 'well-behaved', port: 9300 };

export interface MatrixOptions {
  readonly isolations: readonly Isolation[];
  /** How many times as long as natively everything may take. */
  readonly patience: number;
}

/**
 * A suite in which a plugin for each row and kind of isolation fails in its way. All of them at once: nothing is in the
 * way of anything else, but for what takes a CPU for itself, which comes when the others are through.
 */
export function matrix(all: readonly Row[], { isolations, patience }: MatrixOptions): void {
  const rows = ONLY === undefined ? all : all.filter(({ name }) => ONLY.includes(name));
  let manager: Manager;
  let neighbour: HttpLoad;
  let generations: readonly number[];
  const trials = new Map<string, Trial>();
  const results = new Map<string, Promise<Measured>>();

  before(async () => {
    manager = await connectManager(systemClock, process.env, false);
    installExample(NEIGHBOUR.name, 'c', [
      'template: native',
      'version: v1',
      `listen: [{ tcp: 127.0.0.1:${NEIGHBOUR.port} }]`,
      'pool: { size: 2 }',
    ]);
    const summaries = new Summaries(manager);
    let port = NEIGHBOUR.port;
    for (const row of rows)
      for (const isolation of isolations) {
        port += 1;
        const trial = new Trial(row, { isolation, port, manager, summaries, patience });
        trials.set(trial.plugin, trial);
        trial.install();
      }
    // It has its own time to start: an emulated machine is busy for long with the others' starts.
    await run('systemctl', 'start', '--no-block', `plugin@${NEIGHBOUR.name}`);
    const isWhole = async () => (await summaries.of(NEIGHBOUR.name))?.state === 'running';
    await until('the neighbour runs', isWhole, 90_000 * patience);
    generations = await generationsOfNeighbour();
    const every = [...trials.values()];
    const units = every.filter(({ startsWell }) => startsWell).map(({ plugin }) => `plugin@${plugin}`);
    await run('systemctl', 'start', '--no-block', ...units);
    neighbour = new HttpLoad({
      target: { host: '127.0.0.1', port: NEIGHBOUR.port },
      connections: 4,
      keepAlive: false,
      thinkMs: 20 * patience,
    });
    const begin = (some: readonly Trial[], after: Promise<unknown>) => {
      for (const trial of some) results.set(trial.plugin, looksAfter(after.then(() => trial.run())));
    };
    begin(
      every.filter(({ row }) => row.slow === true),
      Promise.resolve(),
    );
    const slow = results.size;
    begin(
      every.filter(({ row }) => row.slow !== true && row.hot !== true),
      Promise.resolve(),
    );
    begin(
      every.filter(({ row }) => row.hot === true),
      Promise.allSettled([...results.values()].slice(slow)),
    );
  });

  after(async () => {
    const measured = (await Promise.allSettled(results.values())).flatMap((each) =>
      each.status === 'fulfilled' ? [each.value] : [],
    );
    saveResults('matrix', measured);
    for (const trial of trials.values()) await run('systemctl', 'stop', '--no-block', `plugin@${trial.plugin}`);
    for (const trial of trials.values()) await trial.uninstall();
    await uninstall(NEIGHBOUR.name);
    manager.release();
  });

  for (const { name, what, expect } of rows)
    for (const isolation of isolations)
      it(`${name} (${isolation}): ${what}: ${expect.class} ${expect.kind ?? ''}`, async () => {
        const plugin = `${name}-${isolation}`;
        const measured = await results.get(plugin);
        assert.ok(measured);
        const { noticedMs, recoveredMs, answered, lost } = measured;
        console.log(
          `        noticed after ${noticedMs} ms, recovered in ${recoveredMs} ms, ${answered} answered, ${lost} lost`,
        );
        const trial = trials.get(plugin);
        assert.ok(trial);
        await judgeWhy(trial);
      });

  it('and a well-behaved plugin beside all of them loses nothing', async () => {
    await Promise.allSettled(results.values());
    const { ok, lost } = await neighbour.stop();
    assert.deepEqual(lost, []);
    assert.ok(ok > 100);
    assert.equal(generations.length, 2);
    assert.deepEqual(await generationsOfNeighbour(), generations, 'none of its sandboxes was replaced');
  });

  async function generationsOfNeighbour(): Promise<number[]> {
    return (await manager.status(NEIGHBOUR.name)).sandboxes.map(({ generation }) => generation).sort();
  }
}

/** The same promise; that it may fail before somebody looks at it is no reason to end the program. */
function looksAfter<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
