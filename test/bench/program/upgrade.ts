import { type Account, ExactLoad } from '../../support/exact-load.ts';
import { pause } from '../../support/load.ts';
import { machineFacts } from './machine.ts';
import { options } from './options.ts';
import { BENCH_DIRECTORY } from './plugin.ts';
import { deliver, progress } from './result.ts';
import { median } from './statistics.ts';
import { figure, table } from './table.ts';
import { PluginUpgrader } from './upgrade-plugin.ts';
import {
  GunicornHup,
  HaproxyReload,
  NginxBinary,
  NginxReload,
  Pm2Reload,
  SocketActivated,
  type Upgrader,
} from './upgrade-services.ts';

/** Ms one way; twice that is the round-trip time. */
const DELAYS = [0, 5] as const;
/** Shares of what a server answers at most, in this reach and with connections of this kind. */
const LOADS = { near: 0.9, half: 0.45 } as const;
const BUCKET_MS = 100;

interface Cell {
  readonly upgrader: string;
  readonly delayMs: number;
  readonly keepAlive: boolean;
}

interface Times {
  readonly p99Us: number;
  readonly maxUs: number;
  readonly stallMs: number;
  /** Of the second in which the fewest requests were answered, as a share of what was asked in a second. */
  readonly dip: number;
}

interface Row extends Cell {
  readonly load: keyof typeof LOADS;
  /** Requests a second: of a closed loop, and of this load. */
  readonly most: number;
  readonly rate: number;
  readonly switches: number;
  readonly asked: number;
  readonly lost: number;
  /** By why they were lost. */
  readonly losses: Readonly<Record<string, number>>;
  /** Medians of the rounds; `calm`: without a switch. */
  readonly calm: Times;
  readonly switching: Times;
  readonly switchMs: number;
}

const { n, quick, out, revision } = options(3);
const rounds = quick ? 1 : n;
const calmMs = quick ? 500 : 4000;
const beforeMs = quick ? 200 : 2000;
const afterMs = quick ? 400 : 2000;
const mostMs = quick ? 200 : 1500;
const loads = quick ? (['half'] as const) : (['near', 'half'] as const);
const machine = await machineFacts(revision);

const upgraders: Readonly<Record<string, Upgrader>> = {
  bulkhead: new PluginUpgrader('bench-upgrade', 8601, 'nspawn'),
  'bulkhead-scope': new PluginUpgrader('bench-upgrade-scope', 8602, 'scope'),
  'bulkhead-in-place': new PluginUpgrader('bench-upgrade-in-place', 8609, 'nspawn', 'in-place'),
  systemd: new SocketActivated('bench-socket', 8603),
  'nginx-reload': new NginxReload('bench-nginx', 8604),
  'nginx-binary': new NginxBinary('bench-nginx-binary', 8605),
  haproxy: new HaproxyReload('bench-haproxy', 8606),
  pm2: new Pm2Reload('bench-pm2', 8607),
  gunicorn: new GunicornHup('bench-gunicorn', 8608),
};

interface Run {
  readonly account: Account;
  readonly rate: number;
  readonly switchMs: number;
}
const measured = new Map<string, { readonly calm: Run; readonly switching: Run; readonly most: number }[]>();

/** How clients come; a quick run tries both distances and both kinds of connections, but not each with each. */
const reaches = DELAYS.flatMap((delayMs) => [false, true].map((keepAlive) => ({ delayMs, keepAlive }))).filter(
  ({ delayMs, keepAlive }) => !quick || keepAlive === delayMs > 0,
);
const cells: readonly Cell[] = reaches.flatMap((reach) =>
  Object.keys(upgraders).map((upgrader) => ({ upgrader, ...reach })),
);

function wayTo({ upgrader, delayMs, keepAlive }: Cell) {
  const load = `${BENCH_DIRECTORY}/load`;
  const { port } = whoIs(upgrader);
  return {
    to: delayMs === 0 ? `127.0.0.1:${port}` : `10.79.0.1:${port}`,
    command: delayMs === 0 ? [load] : [`${BENCH_DIRECTORY}/delay`, String(delayMs), load],
    connections: delayMs === 0 ? 32 : 128,
    keepAlive,
    timeoutMs: 10_000,
  };
}

function whoIs(name: string): Upgrader {
  const upgrader = upgraders[name];
  if (upgrader === undefined) throw new Error(`nobody is called '${name}'`);
  return upgrader;
}

async function measure(cell: Cell): Promise<void> {
  const way = wayTo(cell);
  const closed = await new ExactLoad({ ...way, forMs: mostMs }).finished();
  const most = Math.max(1, Math.round((closed.good / closed.ms) * 1000));
  for (const load of loads) {
    const open = { ...way, rate: Math.max(1, Math.round(most * LOADS[load])), bucketMs: BUCKET_MS };
    const calm = await new ExactLoad({ ...open, forMs: calmMs }).finished();
    const running = new ExactLoad(open);
    let switchMs: number;
    let account: Account;
    try {
      await pause(beforeMs);
      const began = performance.now();
      await whoIs(cell.upgrader).upgrade();
      switchMs = performance.now() - began;
      await pause(afterMs);
      account = await running.stop();
    } finally {
      running.release();
    }
    const key = keyOf(cell, load);
    const runs = measured.get(key) ?? [];
    const { rate } = open;
    runs.push({ calm: { account: calm, rate, switchMs: 0 }, switching: { account, rate, switchMs }, most });
    measured.set(key, runs);
  }
}

function keyOf({ upgrader, delayMs, keepAlive }: Cell, load: string): string {
  return [upgrader, delayMs, keepAlive, load].join(' ');
}

try {
  for (const upgrader of Object.values(upgraders)) await upgrader.install();
  for (let round = 1; round <= rounds; round += 1)
    // Turn by turn, so that what disturbs the machine disturbs all.
    for (const [index, cell] of cells.entries()) {
      await measure(cell);
      progress(`round ${round} of ${rounds}: ${index + 1} of ${cells.length}, ${whoIs(cell.upgrader).title}`);
    }
} finally {
  for (const upgrader of Object.values(upgraders)) await upgrader.remove();
}

function timesOf(runs: readonly Run[]): Times {
  const middle = (value: (run: Run) => number): number => median(runs.map(value));
  return {
    p99Us: middle(({ account }) => account.latencyUs.p99),
    maxUs: middle(({ account }) => account.latencyUs.max),
    stallMs: middle(({ account }) => account.longestGapMs),
    dip: middle(dipOf),
  };
}

/** By how much the worst second was below what was asked for; the first bucket is not whole, nor is the last. */
function dipOf({ account, rate }: Run): number {
  const whole = Math.floor(account.askedMs / BUCKET_MS);
  const good = (account.buckets ?? []).slice(1, whole).map(([answered]) => answered);
  const width = Math.min(good.length, 1000 / BUCKET_MS);
  if (width === 0) return 0;
  const sums = good
    .slice(width - 1)
    .map((_, from) => good.slice(from, from + width).reduce((sum, each) => sum + each, 0));
  return Math.max(0, 1 - Math.min(...sums) / ((rate * width * BUCKET_MS) / 1000));
}

const LOSSES = ['refused', 'closedBefore', 'resetBefore', 'closedWithin', 'resetWithin', 'late', 'wrong'] as const;

function rowOf(cell: Cell, load: keyof typeof LOADS): Row {
  const runs = measured.get(keyOf(cell, load)) ?? [];
  const switching = runs.map((each) => each.switching);
  const total = (what: 'asked' | 'lost' | (typeof LOSSES)[number]): number =>
    switching.reduce((sum, { account }) => sum + account[what], 0);
  return {
    ...cell,
    load,
    most: median(runs.map(({ most }) => most)),
    rate: median(switching.map(({ rate }) => rate)),
    switches: runs.length,
    asked: total('asked'),
    lost: total('lost'),
    losses: Object.fromEntries(LOSSES.map((why) => [why, total(why)])),
    calm: timesOf(runs.map(({ calm }) => calm)),
    switching: timesOf(switching),
    switchMs: median(switching.map(({ switchMs }) => switchMs)),
  };
}

const rows = cells.flatMap((cell) => loads.map((load) => rowOf(cell, load)));

function show(some: readonly Row[]): string {
  const ms = (us: number): string => figure(us / 1000);
  const percent = (share: number): string => `${figure(share * 100)} %`;
  return table(
    ['', 'most/s', 'asked/s', 'lost', 'of', 'stall ms', '(calm)', 'p99 ms', '(calm)', 'dip', '(calm)', 'takes s'],
    some.map(({ upgrader, most, rate, lost, asked, calm, switching, switchMs }) => [
      whoIs(upgrader).title,
      ...[figure(most), figure(rate), String(lost), String(asked), figure(switching.stallMs), figure(calm.stallMs)],
      ...[ms(switching.p99Us), ms(calm.p99Us), percent(switching.dip), percent(calm.dip), figure(switchMs / 1000)],
    ]),
  );
}

const sections = reaches.flatMap(({ delayMs, keepAlive }) =>
  loads.map((load) => {
    const some = rows.filter((row) => row.delayMs === delayMs && row.load === load && row.keepAlive === keepAlive);
    const kind = keepAlive ? 'connections that stay' : 'a connection for each request';
    const share = load === 'near' ? 'near saturation' : 'at half of that';
    return `${kind}, ${delayMs * 2} ms of round-trip time, ${share}\n\n${show(some)}`;
  }),
);

deliver({ bench: 'upgrade', quick, machine, n: rounds, figures: { rows }, out }, sections.join('\n\n'));
