import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { runHere } from './package-machine.ts';

/** What the tests look at in build/bench/NAME.json. */
interface Results {
  readonly format: number;
  readonly bench: string;
  readonly quick: boolean;
  readonly n: number;
  readonly machine: Readonly<Record<string, unknown>>;
  readonly figures: Readonly<Record<string, unknown>>;
}

interface Summary {
  readonly n: number;
  readonly min: number;
  readonly median: number;
  readonly p99: number;
  readonly max: number;
}

/** Runs a benchmark as short as it can be, and returns the JSON that it leaves and prints. */
async function quick(name: string): Promise<Results> {
  const { status, stdout, stderr } = await runHere('test/bench/bench', [name, '--quick', '--json']);
  assert.equal(status, 0, stderr);
  const printed = JSON.parse(stdout) as Results;
  assert.deepEqual(printed, JSON.parse(readFileSync(`build/bench/${name}-quick.json`, 'utf8')));
  assert.deepEqual([printed.format, printed.bench, printed.quick], [1, name, true]);
  for (const fact of ['kernel', 'systemd', 'node', 'bulkhead', 'revision', 'processor'])
    assert.match(String(printed.machine[fact]), /\S/, fact);
  for (const fact of ['cores', 'memoryMb', 'loadBefore', 'loadAfter'])
    assert.equal(typeof printed.machine[fact], 'number', fact);
  return printed;
}

function isSummary(value: unknown, n: number, what: string): void {
  const summary = value as Summary;
  assert.equal(summary.n, n, what);
  assert.ok(summary.min > 0, `${what}: nothing takes no time`);
  assert.ok(summary.min <= summary.median && summary.median <= summary.p99 && summary.p99 <= summary.max, what);
}

/** No assertion on how long anything takes: that the benchmarks run and measure what they say, nothing else. */
describe('the benchmarks', function () {
  this.timeout(420_000);

  it('start measures every way to start a payload, in as many rounds', async () => {
    const { n, figures } = await quick('start');
    const rows = figures.rows as { variant: string; first: unknown; timesBare: number; timesNspawn: number }[];
    assert.deepEqual(
      rows.map(({ variant }) => variant),
      ['bare', 'bwrap', 'crun', 'service', 'nspawn', 'filtered', 'bulkhead', 'scope'],
    );
    for (const { variant, first, timesBare, timesNspawn } of rows) {
      isSummary(first, n, variant);
      assert.ok(timesBare > 0 && timesNspawn > 0);
    }
    for (const { first, done } of figures.declaration as { first: unknown; done: unknown }[]) {
      isSummary(first, n, 'declaration to first instruction');
      isSummary(done, n, 'declaration to ready');
    }
    const stages = figures.stages as { variant: string; to: string; ms: number }[];
    for (const mark of ['wanted', 'ordered', 'first', 'active', 'ready', 'done'])
      assert.ok(
        stages.some(({ variant, to }) => variant === 'bulkhead' && to === mark),
        `no stage '${mark}'`,
      );
    for (const mark of ['ordered', 'scope', 'first', 'ready', 'done'])
      assert.ok(
        stages.some(({ variant, to }) => variant === 'scope' && to === mark),
        `no stage '${mark}' of a scope`,
      );
    const aim = figures.scopeAim as { readyMs: number; timesBubblewrap: number };
    assert.ok(aim.readyMs > 0 && aim.timesBubblewrap > 0);
  });

  it('restart measures everyone who restarts, and sees each death', async () => {
    const { n, figures } = await quick('restart');
    const rows = figures.rows as { keeper: string; gap: unknown; refused: number }[];
    assert.deepEqual(
      rows.map(({ keeper }) => keeper),
      ['first', 'further', 'pair', 'systemd', 'socket'],
    );
    for (const { keeper, gap } of rows) isSummary(gap, n, keeper);
    // The supervisor keeps the sockets: nobody is refused while a sandbox is started anew.
    for (const { keeper, refused } of rows) if (keeper !== 'systemd') assert.equal(refused, 0, keeper);
  });

  it('recover hurts a process of everyone who restarts, and sees each come back that notices', async () => {
    const { figures } = await quick('recover');
    const rows = figures.rows as { keeper: string; injury: string; notices: boolean; gap: unknown; never: number }[];
    const keepers = (injury: string) => rows.filter((row) => row.injury === injury).map(({ keeper }) => keeper);
    const ours = ['single', 'scope', 'standby', 'pair'];
    const peers = [
      'systemd',
      'systemd-pair',
      'supervisord',
      'supervisord-pair',
      'runit',
      'pm2',
      'pm2-cluster',
      'podman',
    ];
    for (const injury of ['kill', 'loop', 'stop']) assert.deepEqual(keepers(injury), [...ours, ...peers], injury);
    const unavailable = figures.unavailable as Record<string, string>;
    assert.equal(keepers('oom').length > 0, unavailable.oom === undefined, 'measured, or said why not');
    for (const { keeper, injury, notices, never } of rows)
      if (notices) assert.equal(never, 0, `${keeper} never got over ${injury}`);
  });

  it('upgrade changes everyone who can be changed under load, near and far', async () => {
    const { figures } = await quick('upgrade');
    const rows = figures.rows as {
      upgrader: string;
      delayMs: number;
      keepAlive: boolean;
      asked: number;
      lost: number;
    }[];
    const everyone = [
      'bulkhead',
      'bulkhead-scope',
      'bulkhead-in-place',
      'systemd',
      'nginx-reload',
      'nginx-binary',
      'haproxy',
      'pm2',
      'gunicorn',
    ];
    for (const far of [false, true]) {
      const some = rows.filter(({ delayMs }) => delayMs > 0 === far);
      assert.deepEqual(
        some.map(({ upgrader }) => upgrader),
        everyone,
      );
      for (const { upgrader, keepAlive, asked, lost } of some) {
        assert.equal(keepAlive, far);
        assert.ok(asked > 0 && lost < asked, upgrader);
        if (upgrader.startsWith('bulkhead')) assert.equal(lost, 0, upgrader);
      }
    }
  });

  it('watch measures what it costs to look after sandboxes, and where that goes', async () => {
    const { figures } = await quick('watch');
    const costs = figures.costs as { sandboxes: number; watching: string; cpu: number; rss: number }[];
    assert.equal(new Set(costs.map(({ watching }) => watching)).size, 4);
    for (const { sandboxes, rss } of costs) assert.ok(sandboxes === 2 && rss > 0);
    const files = (figures.profile as { file: string }[]).map(({ file }) => file);
    assert.ok(
      files.some((file) => file.startsWith('src/')),
      `no source file in ${files.join(' ')}`,
    );
  });

  it('footprint measures the supervisor and every process of a sandbox', async () => {
    const { figures } = await quick('footprint');
    const steps = figures.steps as { sandboxes: number; supervisor: { rss: number; pss: number; uss: number } }[];
    assert.deepEqual(
      steps.map(({ sandboxes }) => sandboxes),
      [0, 2],
    );
    for (const { supervisor } of steps)
      assert.ok(supervisor.uss > 0 && supervisor.uss <= supervisor.pss && supervisor.pss <= supervisor.rss);
    const each = figures.perSandbox as Record<string, { pss: number }>;
    for (const kind of ['nspawn', 'init', 'payload', 'anchor']) assert.ok((each[kind]?.pss ?? 0) > 0, kind);
  });

  it('overhead measures the same server bare and in both kinds of sandbox, round by round', async () => {
    const { n, figures } = await quick('overhead');
    const rows = figures.rows as { place: string; server: string; rate: unknown; ofBare: number }[];
    assert.deepEqual(
      rows.map(({ server, place }) => `${server} ${place}`),
      ['c', 'python', 'node'].flatMap((server) => [`${server} bare`, `${server} scope`, `${server} nspawn`]),
    );
    for (const { server, place, rate, ofBare } of rows) {
      isSummary(rate, n, `${server} ${place}`);
      assert.ok(ofBare > 0);
    }
  });

  it('rpc calls plugins of every SDK and those beside whom they are measured, one call at a time and many', async () => {
    const { n, figures } = await quick('rpc');
    const rows = figures.rows as {
      payload: string;
      variant: string;
      p50Us: unknown;
      perSecond: unknown;
      timesFloor: number;
    }[];
    const all = ['floor', 'raw', 'ts', 'python', 'c', 'grpc', 'http'];
    for (const payload of ['bin-100', 'bin-1k', 'object-1k', 'bin-64k', 'bin-1m']) {
      const some = rows.filter((row) => row.payload === payload);
      // Bare bytes are no objects.
      assert.deepEqual(
        some.map(({ variant }) => variant),
        payload === 'object-1k' ? all.slice(2) : all,
      );
      for (const { variant, p50Us, perSecond, timesFloor } of some) {
        isSummary(p50Us, n, `${variant} ${payload}`);
        isSummary(perSecond, n, `${variant} ${payload}`);
        assert.ok(timesFloor > 0);
      }
    }
    assert.equal((figures.aims as unknown[]).length, 9);
  });

  it('an unknown benchmark is refused, and the list names all', async () => {
    assert.equal((await runHere('test/bench/bench', ['nonsense'])).status, 1);
    const { stdout } = await runHere('test/bench/bench', ['list']);
    assert.deepEqual(stdout.match(/^\w+/gm), [
      'start',
      'restart',
      'recover',
      'overhead',
      'footprint',
      'upgrade',
      'rpc',
      'watch',
    ]);
  });
});
