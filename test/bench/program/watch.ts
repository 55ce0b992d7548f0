import { pause } from '../../support/load.ts';
import { readySandboxes, systemctl, until } from '../../support/system.ts';
import { machineFacts, monotonicMs } from './machine.ts';
import { options } from './options.ts';
import { BenchPlugin, sandboxesLeft } from './plugin.ts';
import { cpuMs, memoryOf, wakeups } from './processes.ts';
import { profileSupervisor } from './profile.ts';
import { deliver, progress } from './result.ts';
import { median } from './statistics.ts';
import { Systemd } from './systemd.ts';
import { figure, table } from './table.ts';

/** What the supervisor may cost with a hundred sandboxes: percent of one processor while nothing happens, MB of RSS. */
const AIM = { sandboxes: 100, cpu: 0.5, megabytes: 64 };

/** Plugins, and sandboxes of each. */
const STEPS = [
  { plugins: 10, size: 1 },
  { plugins: 100, size: 1 },
  { plugins: 100, size: 5 },
];
const STEPS_QUICK = [{ plugins: 2, size: 1 }];

/** Seconds of each window in which nothing happens, and how many of them. */
const WINDOW_S = 15;
const WINDOW_QUICK_S = 1;

/** Time (ms) for start-up work to end and for the collector of Node.js to run, before anything is measured. */
const SETTLE_MS = 6000;
const SETTLE_QUICK_MS = 500;

/** Plugins that start and stop at the same time. */
const AT_ONCE = 10;

/** Files of the supervisor that a profile names. */
const MOST_FILES = 16;

/** A server that writes an activity page, sends WATCHDOG=1, and has a probe of each kind: all there is to watch. */
const PROBES = {
  none: [],
  liveness: ['liveness: { notify: true, every: 1s, misses: 3 }'],
  all: ['liveness: { notify: true, every: 1s, misses: 3 }', 'readiness: { tcp: true, every: 1s }'],
} as const;

interface Watching {
  readonly title: string;
  readonly heartbeat: '1s' | '1min';
  readonly probes: keyof typeof PROBES;
}

const ALL_ON: Watching = { title: 'all sources on', heartbeat: '1s', probes: 'all' };

/** What is left out to see what it costs. */
const LESS: readonly Watching[] = [
  { title: 'without a readiness probe', heartbeat: '1s', probes: 'liveness' },
  { title: 'without any probe', heartbeat: '1s', probes: 'none' },
  { title: 'looked at once a minute, without any probe', heartbeat: '1min', probes: 'none' },
];

interface Cost {
  readonly sandboxes: number;
  readonly watching: string;
  /** Percent of one processor: the supervisor; and all processes of all sandboxes. */
  readonly cpu: number;
  readonly sandboxesCpu: number;
  readonly wakeups: number;
  /** kB. */
  readonly rss: number;
  readonly pss: number;
}

interface Figures {
  readonly costs: readonly Cost[];
  readonly profile: readonly { readonly file: string; readonly cpu: number }[];
  readonly aim: typeof AIM & { readonly reached: boolean | undefined };
}

const { n, quick, out, revision } = options(3);
const steps = quick ? STEPS_QUICK : STEPS;
const windowMs = (quick ? WINDOW_QUICK_S : WINDOW_S) * 1000;
const settleMs = quick ? SETTLE_QUICK_MS : SETTLE_MS;
/** How long it is profiled. */
const total = 2 * windowMs;
const machine = await machineFacts(revision);
const systemd = new Systemd();
const plugins = Array.from(
  { length: Math.max(...steps.map((step) => step.plugins)) },
  (_, index) => new BenchPlugin(`bench-${index + 1}`, 'c', 'scope', 'steady'),
);
const profiled = steps.find(({ plugins: count, size }) => count * size === AIM.sandboxes) ?? steps[0];

const costs: Cost[] = [];
let profile: ReadonlyMap<string, number> = new Map();
try {
  for (const step of steps) {
    await run(step, ALL_ON);
    costs.push(await measure(step, ALL_ON));
    if (step !== profiled) continue;
    for (const less of LESS) {
      await run(step, less);
      costs.push(await measure(step, less));
    }
    await run(step, ALL_ON);
    progress('the same under a profiler');
    profile = await profileSupervisor(() => pause(settleMs + total), settleMs);
  }
} finally {
  await each(plugins, (plugin) => plugin.remove());
  systemd.release();
}
await until('the end of all sandboxes', () => !sandboxesLeft());

type Step = (typeof STEPS)[number];

/** Makes so many sandboxes run, watched like that; the supervisor has then just started, and adopted all of them. */
async function run({ plugins: count, size }: Step, { heartbeat, probes }: Watching): Promise<void> {
  const health = ['ready: notify', `heartbeat: ${heartbeat}`, 'spin: 1min', ...PROBES[probes]].join(', ');
  await each(plugins.slice(0, count), async (plugin, index) => {
    plugin.install([
      'exec: [./main, server]',
      `listen: [{ tcp: 127.0.0.1:${8600 + index} }]`,
      `pool: { size: ${size} }`,
      `health: { ${health} }`,
    ]);
    await systemd.stop(plugin.anchor);
    await systemd.start(plugin.anchor);
  });
  const last = plugins[count - 1];
  await until(
    'all sandboxes',
    () => plugins.slice(0, count).every((plugin) => plugin.payloads().length === size),
    120_000,
  );
  await until(
    'the last ones are ready',
    async () => last !== undefined && (await readySandboxes(last.name)).length === size,
    60_000,
  );
  await systemctl('restart', 'bulkheadd');
}

/** Some at a time: one after the other would take most of the benchmark. */
async function each(
  all: readonly BenchPlugin[],
  act: (plugin: BenchPlugin, index: number) => Promise<void>,
): Promise<void> {
  for (let first = 0; first < all.length; first += AT_ONCE)
    await Promise.all(all.slice(first, first + AT_ONCE).map((plugin, nth) => act(plugin, first + nth)));
}

async function measure({ plugins: count, size }: Step, watching: Watching): Promise<Cost> {
  await pause(settleMs);
  const pid = Number(await systemctl('show', '-P', 'MainPID', 'bulkheadd'));
  const windows: { cpu: number; sandboxesCpu: number; wakeups: number }[] = [];
  for (let window = 0; window < n; window += 1) {
    const before = { at: monotonicMs(), cpu: supervisorMs(), sandboxes: sandboxesMs(), wakeups: wakeups(pid) };
    await pause(windowMs);
    const took = monotonicMs() - before.at;
    windows.push({
      cpu: ((supervisorMs() - before.cpu) / took) * 100,
      sandboxesCpu: ((sandboxesMs() - before.sandboxes) / took) * 100,
      wakeups: ((wakeups(pid) - before.wakeups) / took) * 1000,
    });
  }
  progress(`${count * size} sandboxes, ${watching.title}: measured`);
  const { rss, pss } = memoryOf(pid);
  return {
    sandboxes: count * size,
    watching: watching.title,
    cpu: median(windows.map(({ cpu }) => cpu)),
    sandboxesCpu: median(windows.map(({ sandboxesCpu }) => sandboxesCpu)),
    wakeups: median(windows.map((window) => window.wakeups)),
    rss,
    pss,
  };
}

function supervisorMs(): number {
  return cpuMs('/system.slice/bulkheadd.service');
}

function sandboxesMs(): number {
  return cpuMs('/plugin.slice');
}

const atAim = costs.find(({ sandboxes, watching }) => sandboxes === AIM.sandboxes && watching === ALL_ON.title);
const reached = atAim === undefined ? undefined : atAim.cpu <= AIM.cpu && atAim.rss <= AIM.megabytes * 1024;
const files = [...profile]
  .map(([file, ms]) => ({ file, cpu: (ms / total) * 100 }))
  .sort((one, other) => other.cpu - one.cpu);

deliver<Figures>(
  { bench: 'watch', quick, out, machine, n, figures: { costs, profile: files, aim: { ...AIM, reached } } },
  [
    `The supervisor while nothing happens, and what its sandboxes use meanwhile; median of ${n} windows of ${windowMs / 1000} s:`,
    table(
      [
        'static C payload, isolation scope',
        'sandboxes',
        'CPU %',
        'wake-ups/s',
        'RSS MB',
        'PSS MB',
        'CPU % of sandboxes',
      ],
      costs.map((cost) => [
        cost.watching,
        String(cost.sandboxes),
        cost.cpu.toFixed(3),
        cost.wakeups.toFixed(1),
        (cost.rss / 1024).toFixed(1),
        (cost.pss / 1024).toFixed(1),
        cost.sandboxesCpu.toFixed(2),
      ]),
    ),
    `Where it goes, as a profiler sees it that has its own price (${profiled === undefined ? 0 : profiled.plugins * profiled.size} sandboxes):`,
    table(
      ['', 'CPU %'],
      files.slice(0, MOST_FILES).map(({ file, cpu }) => [file, figure(cpu)]),
    ),
    `aim: at ${AIM.sandboxes} sandboxes at most ${AIM.cpu} % and ${AIM.megabytes} MB: ${atAim === undefined ? 'not measured' : `${figure(atAim.cpu)} %, ${figure(atAim.rss / 1024)} MB: ${reached === true ? 'reached' : 'NOT reached'}`}`,
  ].join('\n\n'),
);
