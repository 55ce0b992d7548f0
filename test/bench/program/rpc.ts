import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hostFacts } from './machine.ts';
import { options } from './options.ts';
import { deliver, progress } from './result.ts';
import { type CodecCost, codecCost } from './rpc-codec.ts';
import { PAYLOADS, type Payload } from './rpc-payloads.ts';
import { Pair, type Places, type Spell, serves, VARIANTS, type Variant } from './rpc-variants.ts';
import { type Summary, summarise } from './statistics.ts';
import { figure, table } from './table.ts';

/** Times of the floor that one call at a time of 100 bytes may take; calls a second with 64 under way. */
const AIMS = { timesFloor: 2.5, smallPerSecond: 250_000, objectsPerSecond: 100_000 };

interface Row {
  readonly payload: Payload;
  readonly variant: Variant;
  /** One call at a time, microseconds. */
  readonly p50Us: Summary;
  readonly p99Us: Summary;
  /**
   * The best p50 of all rounds, of the floor's best. What else the machine does makes a round slower and none faster, and
   * the floor, which does next to nothing, suffers most of it.
   */
  readonly timesFloor: number;
  /** Calls a second, with `window` under way, and the CPU time of one call at both ends. */
  readonly window: number;
  readonly perSecond: Summary;
  readonly callerCpuUs: Summary;
  readonly serverCpuUs: Summary;
}

interface Aim {
  readonly what: string;
  readonly aim: number;
  readonly measured: number;
  readonly reached: boolean;
}

interface Figures {
  readonly rows: readonly Row[];
  readonly aims: readonly Aim[];
  readonly spellMs: number;
  /** Of the 1 KB object: what stops it. */
  readonly codec: CodecCost;
}

const { n, quick, out, revision } = options(7);
const SPELL_MS = quick ? 60 : 500;
/** Compilers at run time are done by then; grpc-js takes the longest. */
const WARM_MS = quick ? 60 : 1500;
const places: Places = { programs: dirname(fileURLToPath(import.meta.url)), checkout: process.cwd() };
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const machine = await hostFacts(revision, version);
const payloads = Object.keys(PAYLOADS) as Payload[];
const variants = Object.keys(VARIANTS) as Variant[];

/** By variant, payload and window, by round. */
const spells = new Map<string, Map<number, Spell>>();
const key = (variant: Variant, payload: Payload, window: number): string => `${variant} ${payload} ${window}`;

const pairs = new Map<Variant, Pair>();
try {
  for (const variant of variants) pairs.set(variant, await Pair.up(variant, places));
  for (const [variant, pair] of pairs) {
    for (const payload of payloads.filter((each) => serves(variant, each)))
      for (const window of [1, PAYLOADS[payload].window]) await pair.measure(payload, window, WARM_MS);
    progress(`${VARIANTS[variant].title} is warm`);
  }
  for (let round = 1; round <= n; round += 1) {
    // Each round begins with another one.
    for (const payload of payloads)
      for (const window of [1, PAYLOADS[payload].window])
        for (const turn of variants.keys()) {
          const variant = variants[(turn + round) % variants.length] ?? 'floor';
          const pair = pairs.get(variant);
          if (pair === undefined || !serves(variant, payload)) continue;
          const name = key(variant, payload, window);
          const measured = spells.get(name) ?? new Map<number, Spell>();
          spells.set(name, measured.set(round, await pair.measure(payload, window, SPELL_MS)));
        }
    progress(`round ${round} of ${n}`);
  }
} finally {
  for (const pair of pairs.values()) pair.release();
}

const rows = payloads.flatMap((payload) =>
  variants.filter((variant) => serves(variant, payload)).map((variant) => rowOf(variant, payload)),
);
const small = ['ts', 'python', 'c'] as const;
const aims: readonly Aim[] = [
  ...small.map((variant) => {
    const measured = rows.find((row) => row.variant === variant && row.payload === 'bin-100')?.timesFloor;
    return aimOf(
      `${VARIANTS[variant]?.title}: times the floor, 100 B, one at a time`,
      AIMS.timesFloor,
      measured,
      'most',
    );
  }),
  ...small.map((variant) =>
    aimOf(
      `${VARIANTS[variant]?.title}: calls/s, 100 B, 64 at a time`,
      AIMS.smallPerSecond,
      rate(variant, 'bin-100'),
      'least',
    ),
  ),
  ...small.map((variant) =>
    aimOf(
      `${VARIANTS[variant]?.title}: calls/s, 1 KB object, 64 at a time`,
      AIMS.objectsPerSecond,
      rate(variant, 'object-1k'),
      'least',
    ),
  ),
];
const codec = codecCost('object-1k', quick ? 500 : 20_000);
const figures: Figures = { rows, aims, spellMs: SPELL_MS, codec };

deliver(
  { bench: 'rpc', quick, out, machine, n, figures },
  [
    `One connection over a Unix socket, both ends a process; ${SPELL_MS} ms a spell, turn by turn. p50 and p99: one call at a time; x floor: the best p50 of all rounds.`,
    ...payloads.map((payload) =>
      table(
        [
          PAYLOADS[payload].title,
          'p50 us',
          'p99 us',
          'x floor',
          `calls/s, ${PAYLOADS[payload].window} at a time`,
          'caller CPU us',
          'server CPU us',
        ],
        rows
          .filter((row) => row.payload === payload)
          .map(({ variant, p50Us, p99Us, timesFloor, perSecond, callerCpuUs, serverCpuUs }) => [
            VARIANTS[variant].title,
            figure(p50Us.median),
            figure(p99Us.median),
            figure(timesFloor),
            perSecond.median.toFixed(0),
            figure(callerCpuUs.median),
            figure(serverCpuUs.median),
          ]),
      ),
    ),
    `the codec alone, of CPU time for one message with the 1 KB object: ${figure(codec.encodeUs)} us to encode, ${figure(codec.decodeUs)} us to decode; each end does both for a call`,
    [
      'aims:',
      ...aims.map(
        ({ what, aim, measured, reached }) =>
          `  ${what}: ${figure(measured)} of ${aim}: ${reached ? 'reached' : 'NOT reached'}`,
      ),
    ].join('\n'),
  ].join('\n\n'),
);

function rowOf(variant: Variant, payload: Payload): Row {
  const { window } = PAYLOADS[payload];
  const [alone, many] = [each(variant, payload, 1), each(variant, payload, window)];
  const of = (from: ReadonlyMap<number, Spell>, ask: (spell: Spell) => number): Map<number, number> =>
    new Map([...from].map(([round, spell]) => [round, ask(spell)]));
  // An object has the floor of as many bytes.
  const floor = each('floor', payload === 'object-1k' ? 'bin-1k' : payload, 1);
  const best = (of: ReadonlyMap<number, Spell>): number => Math.min(...[...of.values()].map(({ p50Us }) => p50Us));
  const p50 = of(alone, ({ p50Us }) => p50Us);
  return {
    payload,
    variant,
    p50Us: summarise([...p50.values()]),
    p99Us: summarise([...of(alone, ({ p99Us }) => p99Us).values()]),
    timesFloor: best(alone) / best(floor),
    window,
    perSecond: summarise([...of(many, ({ count, seconds }) => count / seconds).values()]),
    callerCpuUs: summarise([...of(many, ({ cpuUs, count }) => cpuUs / count).values()]),
    serverCpuUs: summarise([...of(many, ({ serverCpuUs, count }) => serverCpuUs / count).values()]),
  };
}

function each(variant: Variant, payload: Payload, window: number): ReadonlyMap<number, Spell> {
  return spells.get(key(variant, payload, window)) ?? new Map();
}

function rate(variant: Variant, payload: Payload): number | undefined {
  return rows.find((row) => row.variant === variant && row.payload === payload)?.perSecond.median;
}

function aimOf(what: string, aim: number, measured: number | undefined, which: 'most' | 'least'): Aim {
  const value = measured ?? Number.NaN;
  return { what, aim, measured: value, reached: which === 'most' ? value <= aim : value >= aim };
}
