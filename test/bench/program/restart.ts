import { pause } from '../../support/load.ts';
import { journal } from './journal.ts';
import { machineFacts } from './machine.ts';
import { options } from './options.ts';
import { FIRST_DEATHS, FURTHER_DEATHS, type Gap, PluginKeeper, ServiceKeeper } from './restart-variants.ts';
import { deliver, progress } from './result.ts';
import { median, pairedRatio, type Summary, summarise } from './statistics.ts';
import { Systemd } from './systemd.ts';
import { figure, table } from './table.ts';

/** Pause (ms) after each kill, for the dust to settle: the next one must find everybody idle. */
const SETTLE_MS = 150;

/**
 * A sandbox must have been well for a second, or its next death is not a first one. Two kills of the same keeper are
 * at least a round, less one turn and a start, apart.
 */
const SHORTEST_ROUND_MS = 2200;

interface Row {
  readonly keeper: string;
  readonly title: string;
  readonly gap: Summary;
  /** From the kill to the first instruction of the next process. */
  readonly started: Summary;
  readonly timesSystemd: number;
  readonly timesSystemdPaired: number | undefined;
  readonly refused: number;
  readonly broken: number;
}

interface Figures {
  readonly rows: readonly Row[];
  /** Each from the step before, the first from the kill; median ms. */
  readonly afterFirstDeath: Readonly<Record<'noticed' | 'ordered' | 'started' | 'answered', number>>;
}

const { n, quick, out, revision } = options(30);
const machine = await machineFacts(revision);
const systemd = new Systemd();

const keepers = {
  first: new PluginKeeper(systemd, {
    title: 'bulkhead, size 1, first death',
    name: 'bench-first',
    port: 8301,
    size: 1,
    backoff: FIRST_DEATHS,
  }),
  further: new PluginKeeper(systemd, {
    title: 'bulkhead, size 1, second death in a row',
    name: 'bench-further',
    port: 8302,
    size: 1,
    backoff: FURTHER_DEATHS,
  }),
  pair: new PluginKeeper(systemd, {
    title: 'bulkhead, size 2, first death',
    name: 'bench-pair',
    port: 8303,
    size: 2,
    backoff: FIRST_DEATHS,
  }),
  systemd: new ServiceKeeper(systemd, {
    title: 'systemd, Restart=always RestartSec=0',
    name: 'bench-restart',
    port: 8304,
    socket: false,
  }),
  socket: new ServiceKeeper(systemd, {
    title: 'systemd, socket activation',
    name: 'bench-socket',
    port: 8305,
    socket: true,
  }),
} as const;

type KeeperName = keyof typeof keepers;
const names = Object.keys(keepers) as KeeperName[];
const gaps = new Map<KeeperName, Map<number, Gap>>(names.map((name) => [name, new Map()]));

try {
  for (const name of names) await keepers[name].install();
  // Round 0 warms everything up and is not counted. Each round begins with another one.
  for (let round = 0; round <= n; round += 1) {
    const begun = performance.now();
    for (const index of names.keys()) {
      const name = names[(index + round) % names.length] ?? 'first';
      const gap = await keepers[name].kill();
      if (round > 0) gaps.get(name)?.set(round, gap);
      await keepers[name].whole();
      await pause(SETTLE_MS);
    }
    await pause(Math.max(0, SHORTEST_ROUND_MS - (performance.now() - begun)));
    progress(round === 0 ? 'warm' : `round ${round} of ${n}`);
  }
} finally {
  for (const name of names) await keepers[name].remove();
  systemd.release();
}

function measured(name: KeeperName, ask: (gap: Gap) => number): Map<number, number> {
  return new Map([...(gaps.get(name) ?? [])].map(([round, gap]) => [round, ask(gap)]));
}

const rows = names.map((name): Row => {
  const [ours, theirs] = [measured(name, ({ ms }) => ms), measured('systemd', ({ ms }) => ms)];
  const gap = summarise([...ours.values()]);
  return {
    keeper: name,
    title: keepers[name].title,
    gap,
    started: summarise([...measured(name, ({ startedMs }) => startedMs).values()]),
    timesSystemd: gap.median / summarise([...theirs.values()]).median,
    timesSystemdPaired: pairedRatio(ours, theirs),
    refused: total(measured(name, ({ refused }) => refused)),
    broken: total(measured(name, ({ broken }) => broken)),
  };
});

const lines = journal().filter(({ event }) => event === 'died' || event === 'starting');

/** Medians of the time (ms) from one step to the next. */
function afterFirstDeath(): Figures['afterFirstDeath'] {
  const steps = [...(gaps.get('first') ?? []).values()].map(({ killed, ms, startedMs }) => {
    const during = lines.filter(
      ({ at, plugin }) => plugin === keepers.first.plugin && at >= killed && at <= killed + ms,
    );
    const [died, ordered] = ['died', 'starting'].map((event) => during.find((line) => line.event === event)?.at);
    if (died === undefined || ordered === undefined) throw new Error('the journal does not tell of a death');
    return {
      noticed: died - killed,
      ordered: ordered - died,
      started: killed + startedMs - ordered,
      answered: ms - startedMs,
    };
  });
  const middle = (step: keyof Figures['afterFirstDeath']): number => median(steps.map((one) => one[step]));
  return {
    noticed: middle('noticed'),
    ordered: middle('ordered'),
    started: middle('started'),
    answered: middle('answered'),
  };
}

const after = afterFirstDeath();
deliver<Figures>(
  { bench: 'restart', quick, out, machine, n, figures: { rows, afterFirstDeath: after } },
  [
    [
      'kill -9 of the server to the end of the next good answer, as one client sees it that asks again at once (ms);',
      'refused and broken: its connections that failed meanwhile, in all rounds together.',
    ].join('\n'),
    table(
      ['static C server', 'median', 'p99', 'min', 'x systemd', 'paired', 'next one runs', 'refused', 'broken'],
      rows.map(({ title, gap, started, timesSystemd, timesSystemdPaired, refused, broken }) => [
        title,
        figure(gap.median),
        figure(gap.p99),
        figure(gap.min),
        figure(timesSystemd),
        figure(timesSystemdPaired),
        started.median < 0 ? 'already' : figure(started.median),
        String(refused),
        String(broken),
      ]),
    ),
    [
      'bulkhead starts a sandbox anew at once after the first death, and after 100ms, give or take 25 %, when it follows',
      'another one within a minute. With two sandboxes nobody waits for either.',
    ].join('\n'),
    'Where the time goes after the first death (median ms):',
    table(
      ['bulkhead, size 1', 'ms'],
      [
        ['supervisor: knows of the death', figure(after.noticed)],
        ['supervisor: new sandbox ordered', figure(after.ordered)],
        ['first instruction of the new payload', figure(after.started)],
        ['good answer', figure(after.answered)],
      ],
    ),
  ].join('\n\n'),
);

function total(values: ReadonlyMap<number, number>): number {
  return [...values.values()].reduce((all, value) => all + value, 0);
}
