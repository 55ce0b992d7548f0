import assert from 'node:assert/strict';
import type { Manager } from '../../src/control/manager.ts';
import { connectManager } from '../../src/control/manager-client.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { forEachIsolation } from '../support/isolation.ts';
import { HttpLoad } from '../support/load.ts';
import {
  declare,
  installHostile,
  run,
  systemctl,
  UPGRADED_AT_ONCE,
  uninstall,
  until,
  untilWhole,
} from '../support/system.ts';
import { request } from './client.ts';
import { incidentsOf } from './incidents.ts';

const NAME = 'unmannerly';
const PORT = 9270;
/** Its limit is a second; longer than this is a hang, on a busy machine, too, and less than it would have by default (ms). */
const HANG_MS = 25_000;
const TARGET = { host: '127.0.0.1', port: PORT };
const LINES = ['template: native', 'version: v1', `listen: [{ tcp: 127.0.0.1:${PORT} }]`, 'pool: { size: 2 }'];

/** What is bad manners, is held by a limit, and is no reason to end anything. */
describe('a plugin that floods its log', function () {
  this.timeout(180_000);
  afterEach(() => uninstall(NAME));

  it('is told of, loses lines, and serves on', async () => {
    installHostile(NAME, 'misbehave', [...LINES, 'limits: { log: { messages: 100, within: 10s } }']);
    await systemctl('start', `plugin@${NAME}`);
    const before = (await untilWhole(NAME, 2)).map(({ unit }) => unit);
    const since = Date.now();
    const load = new HttpLoad({ target: TARGET, connections: 2, keepAlive: false, thinkMs: 20 });
    await load.more(20);
    assert.ok((await request({ port: PORT, path: '/do/log-flood' })).well);
    const isTold = async () => {
      const told = [
        '-q',
        '-o',
        'cat',
        `--since=@${Math.floor(since / 1000)}`,
        `BULKHEAD_PLUGIN=${NAME}`,
        'BULKHEAD_LIMIT=log',
      ];
      return /limit reached: log 100 in 10s/.test((await run('journalctl', ...told)).stdout);
    };
    await until('the limit is told of', isTold, 60_000);
    await load.more(100);
    assert.deepEqual((await load.stop()).lost, []);
    assert.deepEqual(
      (await untilWhole(NAME, 2)).map(({ unit }) => unit),
      before,
    );
    assert.deepEqual(incidentsOf(NAME, since), []);
  });
});

forEachIsolation('a plugin that ignores SIGTERM', function () {
  this.timeout(180_000);

  let manager: Manager;
  before(async () => {
    manager = await connectManager(systemClock, process.env, false);
  });
  afterEach(() => uninstall(NAME));
  after(() => manager.release());

  const lines = (flavour: string) => [
    ...LINES,
    'exec: [./main, --ignore-term]',
    'stop: { timeout: 1s }',
    UPGRADED_AT_ONCE,
    `environment: { FLAVOUR: ${flavour} }`,
  ];

  it('is replaced all the same, killed at its time limit, and that is no failure', async () => {
    installHostile(NAME, 'misbehave', lines('vanilla'));
    await systemctl('start', `plugin@${NAME}`);
    const before = (await untilWhole(NAME, 2)).map(({ unit }) => unit);
    const since = Date.now();
    declare(NAME, lines('cherry'));
    await systemctl('reload', `plugin@${NAME}`);
    const isReplaced = async () => {
      const { sandboxes } = await manager.status(NAME);
      return (
        sandboxes.length === 2 && sandboxes.every(({ unit, state }) => state === 'ready' && !before.includes(unit))
      );
    };
    await until('all are replaced', isReplaced, HANG_MS);
    assert.deepEqual(incidentsOf(NAME, since), []);
  });

  it('is stopped all the same', async () => {
    installHostile(NAME, 'misbehave', lines('vanilla'));
    await systemctl('start', `plugin@${NAME}`);
    await untilWhole(NAME, 2);
    const since = Date.now();
    await systemctl('stop', `plugin@${NAME}`);
    assert.ok(Date.now() - since < HANG_MS);
    assert.equal((await run('systemctl', 'is-failed', `plugin@${NAME}`)).stdout.trim(), 'inactive');
    assert.deepEqual(incidentsOf(NAME, since), []);
  });
});
