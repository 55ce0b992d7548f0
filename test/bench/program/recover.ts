import { readFileSync } from 'node:fs';
import { pause } from '../../support/load.ts';
import { machineFacts } from './machine.ts';
import { options } from './options.ts';
import { PluginKeeper } from './recover-plugin.ts';
import { Pm2, Podman, Runit, Supervisord, SystemdService } from './recover-services.ts';
import { INJURIES, type Injury, injure, type Keeper, type Recovery } from './recovery.ts';
import { deliver, progress } from './result.ts';
import { type Summary, summarise } from './statistics.ts';
import { figure, table } from './table.ts';

/** Pause (ms) after each injury, for the dust to settle: the next one must find everybody idle. */
const SETTLE_MS = 150;

/**
 * A sandbox must have been well for a second, or its next death is not a first one; and supervisord and runit, too, do
 * not restart at once what ran for less.
 */
const SHORTEST_ROUND_MS = 2200;

/** How long (ms) an injury is watched that somebody notices, and one that nobody does. */
const PATIENCE_MS = 20_000;
const UNNOTICED_MS = 5_000;
const UNNOTICED_QUICK_MS = 200;

/** A hang takes seconds to be noticed, by anybody: there is one for so many deaths. */
const DEATHS_FOR_A_HANG = 3;

interface Row {
  readonly keeper: string;
  readonly injury: Injury;
  /** Whether it is made to notice such a thing at all. */
  readonly notices: boolean;
  /** Lost requests for each injury. */
  readonly lost: Summary;
  readonly gap: Summary;
  /** Undefined when it never came about. */
  readonly whole: Summary | undefined;
  /** Injuries after which it did not come about in time. */
  readonly never: number;
  readonly refused: number;
  readonly broken: number;
  readonly late: number;
}

interface Figures {
  readonly rows: readonly Row[];
  readonly unavailable: Readonly<Record<string, string>>;
}

const { n, quick, out, revision } = options(30);
const machine = await machineFacts(revision);
const limited = readFileSync('/sys/fs/cgroup/cgroup.controllers', 'utf8').split(/\s/).includes('memory');

// None of ours has several sandboxes and a standby: a place that fails thrice within a minute is out of traffic for a while.
const keepers: Readonly<Record<string, Keeper>> = {
  single: new PluginKeeper({ name: 'bench-single', port: 8501, size: 1, standby: 0, isolation: 'nspawn' }),
  scope: new PluginKeeper({ name: 'bench-scope', port: 8502, size: 1, standby: 0, isolation: 'scope' }),
  standby: new PluginKeeper({ name: 'bench-standby', port: 8503, size: 1, standby: 1, isolation: 'nspawn' }),
  pair: new PluginKeeper({ name: 'bench-pair', port: 8504, size: 2, standby: 0, isolation: 'nspawn' }),
  systemd: new SystemdService('bench-systemd', 8506, 1),
  'systemd-pair': new SystemdService('bench-systemd-pair', 8507, 2),
  supervisord: new Supervisord('bench-supervisord', 8508, 1),
  'supervisord-pair': new Supervisord('bench-supervisord-pair', 8509, 2),
  runit: new Runit('bench-runit', 8510, 1),
  pm2: new Pm2('bench-pm2', 8511, 1),
  'pm2-cluster': new Pm2('bench-pm2-cluster', 8512, 2),
  podman: new Podman('bench-podman', 8513, limited),
};
const names = Object.keys(keepers);
const injuries = (Object.keys(INJURIES) as Injury[]).filter((injury) => injury !== 'oom' || limited);

/** By keeper and injury. */
const measured = new Map<string, Recovery[]>();
const key = (name: string, injury: Injury): string => `${name} ${injury}`;

try {
  for (const keeper of Object.values(keepers)) await keeper.install();
  for (const injury of injuries) {
    const rounds = injury === 'kill' || injury === 'oom' ? n : Math.ceil(n / DEATHS_FOR_A_HANG);
    // Round 0 warms everything up and is not counted. Each round begins with another one.
    for (let round = injury === 'kill' ? 0 : 1; round <= rounds; round += 1) {
      const begun = performance.now();
      for (const index of names.keys()) await turn(names[(index + round) % names.length] ?? '', injury, round);
      await pause(Math.max(0, SHORTEST_ROUND_MS - (performance.now() - begun)));
      progress(`${INJURIES[injury].title}: ${round === 0 ? 'warm' : `round ${round} of ${rounds}`}`);
    }
  }
} finally {
  for (const keeper of Object.values(keepers)) await keeper.remove();
}

async function turn(name: string, injury: Injury, round: number): Promise<void> {
  const keeper = keepers[name];
  if (keeper === undefined) throw new Error(`nobody is called '${name}'`);
  const notices = keeper.notices.includes(injury);
  // What memory such a one takes is the machine's.
  if (!notices && (round !== 1 || injury === 'oom')) return;
  const recovery = await injure(keeper, injury, notices ? PATIENCE_MS : quick ? UNNOTICED_QUICK_MS : UNNOTICED_MS);
  if (round > 0) measured.set(key(name, injury), [...(measured.get(key(name, injury)) ?? []), recovery]);
  await keeper.whole();
  await pause(SETTLE_MS);
}

function rowOf(name: string, keeper: Keeper, injury: Injury): Row[] {
  const all = measured.get(key(name, injury));
  if (all === undefined) return [];
  const total = (what: 'refused' | 'broken' | 'late'): number => all.reduce((sum, one) => sum + one[what], 0);
  const whole = all.flatMap(({ wholeMs }) => (wholeMs === undefined ? [] : [wholeMs]));
  return [
    {
      keeper: name,
      injury,
      notices: keeper.notices.includes(injury),
      lost: summarise(all.map(({ refused, broken, late }) => refused + broken + late)),
      gap: summarise(all.map(({ gapMs }) => gapMs)),
      whole: whole.length === 0 ? undefined : summarise(whole),
      never: all.length - whole.length,
      refused: total('refused'),
      broken: total('broken'),
      late: total('late'),
    },
  ];
}

const rows = injuries.flatMap((injury) =>
  Object.entries(keepers).flatMap(([name, keeper]) => rowOf(name, keeper, injury)),
);
const unavailable: Record<string, string> = limited
  ? {}
  : { oom: 'no memory controller in this machine, so no limit to run into; see npm run bench -- recover --vm' };

deliver<Figures>(
  { bench: 'recover', quick, out, machine, n, figures: { rows, unavailable } },
  [
    [
      'One of the processes is hurt while eight clients ask, each on a new connection, about 1400 times a second in all',
      'when nobody is slow. Lost: refused, broken, or not answered within a second. Gap: the longest time without a',
      'good answer (ms). Whole: until as many processes answer as before, a new one among them (ms).',
    ].join('\n'),
    ...injuries.map((injury) => [`${INJURIES[injury].title}:`, tableOf(injury)].join('\n')),
    ...Object.entries(unavailable).map(([what, why]) => `${what}: not measured: ${why}`),
  ].join('\n\n'),
);

function tableOf(injury: Injury): string {
  return table(
    ['', 'n', 'lost: median', 'p99', 'gap: median', 'p99', 'whole: median', 'p99', 'refused', 'broken', 'late'],
    rows
      .filter((row) => row.injury === injury)
      .map((row) => [
        keepers[row.keeper]?.title ?? row.keeper,
        String(row.gap.n),
        figure(row.lost.median),
        figure(row.lost.p99),
        figure(row.gap.median),
        figure(row.gap.p99),
        row.whole === undefined ? 'never' : figure(row.whole.median),
        row.whole === undefined ? 'never' : row.never > 0 ? `${row.never} never` : figure(row.whole.p99),
        ...[row.refused, row.broken, row.late].map(String),
      ]),
  );
}
