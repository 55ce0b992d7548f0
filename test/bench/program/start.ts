import { declarationLines } from './declaration-lines.ts';
import { executions } from './exec-trace.ts';
import { journal } from './journal.ts';
import { machineFacts } from './machine.ts';
import { writeBundle } from './oci-bundle.ts';
import { options } from './options.ts';
import { BenchPlugin, type Language } from './plugin.ts';
import { deliver, progress } from './result.ts';
import { MARKS, type Mark, type Marks, marksOf } from './start-marks.ts';
import { isOurs, learnOptions, type Start, startOnce, VARIANTS, type Variant } from './start-variants.ts';
import { median, pairedRatio, type Summary, summarise } from './statistics.ts';
import { Systemd } from './systemd.ts';
import { figure, table } from './table.ts';

/** A sandbox is to be ready within so many times what plain nspawn without its filter takes. */
const AIM = 1.3;
/** The fast kind, with the static payload: ms from the order to ready, and how many times what bubblewrap takes. */
const SCOPE_AIM = { ms: 15, timesBubblewrap: 4 };

const PAYLOADS: Readonly<Record<Language, string>> = { c: 'static C', python: 'python3', node: 'node' };

interface Row {
  readonly payload: Language;
  readonly variant: Variant;
  /** From the order (the call; for bulkhead the supervisor's order) to the payload's first instruction, ms. */
  readonly first: Summary;
  /** From the same to the moment at which whoever ordered it knows that it is ready, ms. */
  readonly known: Summary | undefined;
  /** Median of CPU time, start and stop together, ms. */
  readonly cpu: number | undefined;
  /** Of the medians of `first`, and in pairs of the same round. */
  readonly timesBare: number | undefined;
  readonly timesBubblewrap: number | undefined;
  readonly timesNspawn: number | undefined;
  readonly timesNspawnPaired: number | undefined;
}

/** The static payload in a scope. */
interface ScopeAim {
  /** Order to ready, median ms. */
  readonly readyMs: number;
  /** Order to first instruction, beside bubblewrap's: of the medians, and in pairs. */
  readonly timesBubblewrap: number;
  readonly timesBubblewrapPaired: number | undefined;
  readonly reached: boolean;
}

interface Figures {
  readonly rows: readonly Row[];
  /** bulkhead only: from the call of `systemctl start` to the first instruction, and to the end of the job; ms. */
  readonly declaration: readonly {
    readonly payload: Language;
    readonly variant: Variant;
    readonly first: Summary;
    readonly done: Summary;
  }[];
  /** The first start of all, with nothing compiled or cached: call to end of the job, ms. */
  readonly cold: readonly { readonly payload: Language; readonly variant: Variant; readonly done: number }[];
  /** Where the time goes: median ms between marks, static C payload. */
  readonly stages: readonly {
    readonly variant: Variant;
    readonly from: Mark;
    readonly to: Mark;
    readonly ms: number;
  }[];
  readonly aim: { readonly times: number; readonly reached: boolean };
  readonly scopeAim: ScopeAim;
}

const { n, quick, out, revision, trace } = options(30);
const machine = await machineFacts(revision);
const systemd = new Systemd();
const plugins = (Object.keys(PAYLOADS) as Language[])
  .filter((language) => !quick || language === 'c')
  .map((language) => new BenchPlugin(`bench-${language}`, language));
/** The same payloads, declared to run in scopes. */
const scoped = new Map(
  plugins.map((plugin) => [plugin, new BenchPlugin(`${plugin.name}-scope`, plugin.language, 'scope')]),
);
const variants = Object.keys(VARIANTS) as Variant[];

const starts: Start[] = [];
const cold: { payload: Language; variant: Variant; done: number }[] = [];
try {
  for (const [index, plugin] of [...plugins, ...scoped.values()].entries()) {
    plugin.install(declarationLines({ port: 8200 + index }));
    const first = Date.now();
    await systemd.start(plugin.anchor);
    const variant = plugin.isolation === 'scope' ? 'scope' : 'bulkhead';
    cold.push({ payload: plugin.language, variant, done: Date.now() - first });
    if (plugin.isolation === 'nspawn') {
      learnOptions(plugin);
      writeBundle(plugin);
    }
    await systemd.stop(plugin.anchor);
  }
  // Round 0 warms everything up and is not counted. Each round begins with another variant.
  for (let round = 0; round <= n; round += 1) {
    for (const plugin of plugins)
      for (const index of variants.keys()) {
        const variant = variants[(index + round) % variants.length] ?? 'bulkhead';
        const which = variant === 'scope' ? (scoped.get(plugin) ?? plugin) : plugin;
        const start = await startOnce(systemd, which, variant, round);
        if (round > 0) starts.push(start);
      }
    progress(round === 0 ? 'warm' : `round ${round} of ${n}`);
  }
} finally {
  for (const plugin of [...plugins, ...scoped.values()]) await plugin.remove();
  systemd.release();
}

const lines = journal();
const traced = trace === undefined ? [] : executions(trace);
const seen = starts.map((start) => ({ start, marks: marksOf(start, lines, traced) }));

/** What is asked of each start of this kind, by round. */
function each(
  payload: Language,
  variant: Variant,
  ask: (marks: Marks, start: Start) => number | undefined,
): Map<number, number> {
  const values = new Map<number, number>();
  for (const { start, marks } of seen) {
    if (start.plugin.language !== payload || start.variant !== variant) continue;
    const value = ask(marks, start);
    if (value !== undefined) values.set(start.round, value);
  }
  return values;
}

function between(from: Mark, to: Mark): (marks: Marks) => number | undefined {
  return (marks) => {
    const [begin, end] = [marks[from], marks[to]];
    return begin === undefined || end === undefined ? undefined : end - begin;
  };
}

/** What is ours is ordered by the supervisor, everything else by the benchmark. */
function firstOf(payload: Language, variant: Variant): Map<number, number> {
  return each(payload, variant, between(isOurs(variant) ? 'ordered' : 'called', 'first'));
}

const rows = plugins.flatMap(({ language: payload }) =>
  variants.map((variant): Row => {
    const first = firstOf(payload, variant);
    if (first.size !== n) throw new Error(`${payload}, ${variant}: ${first.size} of ${n} starts were seen`);
    const known = each(payload, variant, isOurs(variant) ? between('ordered', 'ready') : between('called', 'done'));
    const cpu = [...each(payload, variant, (_, { cpu: used }) => used).values()];
    const middle = median([...first.values()]);
    return {
      payload,
      variant,
      first: summarise([...first.values()]),
      known: known.size === 0 ? undefined : summarise([...known.values()]),
      cpu: cpu.length === 0 ? undefined : median(cpu),
      timesBare: middle / median([...firstOf(payload, 'bare').values()]),
      timesBubblewrap: middle / median([...firstOf(payload, 'bwrap').values()]),
      timesNspawn: middle / median([...firstOf(payload, 'nspawn').values()]),
      timesNspawnPaired: pairedRatio(first, firstOf(payload, 'nspawn')),
    };
  }),
);

const declaration = plugins.flatMap(({ language: payload }) =>
  variants.filter(isOurs).map((variant) => ({
    payload,
    variant,
    first: summarise([...each(payload, variant, between('called', 'first')).values()]),
    done: summarise([...each(payload, variant, between('called', 'done')).values()]),
  })),
);

/** Of the static payload, which adds least of its own: medians from each mark to the one that it follows. */
function stagesOf(variant: Variant): Figures['stages'] {
  const stages: Figures['stages'][number][] = [];
  for (const [mark, { after }] of Object.entries(MARKS) as [Mark, { readonly after: readonly Mark[] }][]) {
    const before = after.find((candidate) => each('c', variant, between(candidate, mark)).size > 0);
    if (before === undefined) continue;
    const values = [...each('c', variant, between(before, mark)).values()];
    stages.push({ variant, from: before, to: mark, ms: median(values) });
  }
  return stages;
}

const stages = [...stagesOf('scope'), ...stagesOf('bulkhead'), ...stagesOf('nspawn')];
const ours = rows.filter(({ variant }) => variant === 'bulkhead');
const reached = ours.every(({ timesNspawn }) => (timesNspawn ?? Number.POSITIVE_INFINITY) <= AIM);
const scopeAim = judgeScope();
const figures: Figures = { rows, declaration, cold, stages, aim: { times: AIM, reached }, scopeAim };

function judgeScope(): ScopeAim {
  const row = rows.find(({ payload, variant }) => payload === 'c' && variant === 'scope');
  const readyMs = row?.known?.median ?? Number.POSITIVE_INFINITY;
  const timesBubblewrap = row?.timesBubblewrap ?? Number.POSITIVE_INFINITY;
  return {
    readyMs,
    timesBubblewrap,
    timesBubblewrapPaired: pairedRatio(firstOf('c', 'scope'), firstOf('c', 'bwrap')),
    reached: readyMs <= SCOPE_AIM.ms && timesBubblewrap <= SCOPE_AIM.timesBubblewrap,
  };
}

deliver(
  { bench: 'start', quick, out, machine, n, figures },
  [
    [
      'Order to first instruction of the payload, order to "known to be ready", and CPU of start and stop together (ms).',
      'The order is that of the supervisor for bulkhead; for the others it is the call to systemd, or fork.',
    ].join('\n'),
    ...plugins.map(({ language }) => payloadTable(language)),
    'bulkhead, from the call of a start of plugin@NAME, declaration read anew (ms):',
    table(
      ['payload', 'first instruction: median', 'p99', 'job done: median', 'p99', 'very first start'],
      declaration.map(({ payload, variant, first, done }) => [
        `${PAYLOADS[payload]}, ${variant === 'scope' ? 'scope' : 'nspawn'}`,
        figure(first.median),
        figure(first.p99),
        figure(done.median),
        figure(done.p99),
        figure(cold.find((one) => one.payload === payload && one.variant === variant)?.done),
      ]),
    ),
    'Where the time goes, static C payload (median ms since the step before):',
    ...(traced.length === 0 ? ['(this kernel cannot record execve: only what the journal says)'] : []),
    stageTable('scope'),
    stageTable('bulkhead'),
    stageTable('nspawn'),
    `aim: at most ${AIM} times plain nspawn without its filter: ${ours.map(({ payload, timesNspawn, timesNspawnPaired }) => `${PAYLOADS[payload]} ${figure(timesNspawn)} (paired ${figure(timesNspawnPaired)})`).join(', ')}: ${reached ? 'reached' : 'NOT reached'}`,
    `aim of scope, static C: ready within ${SCOPE_AIM.ms} ms, and at most ${SCOPE_AIM.timesBubblewrap} times bubblewrap: ${figure(scopeAim.readyMs)} ms, ${figure(scopeAim.timesBubblewrap)} (paired ${figure(scopeAim.timesBubblewrapPaired)}): ${scopeAim.reached ? 'reached' : 'NOT reached'}`,
  ].join('\n\n'),
);

function payloadTable(payload: Language): string {
  return table(
    [
      PAYLOADS[payload],
      'median',
      'p99',
      'min',
      'x bare',
      'x bwrap',
      'x nspawn',
      'paired',
      'ready: median',
      'p99',
      'CPU',
    ],
    rows
      .filter((row) => row.payload === payload)
      .map(({ variant, first, known, cpu, timesBare, timesBubblewrap, timesNspawn, timesNspawnPaired }) => [
        VARIANTS[variant],
        figure(first.median),
        figure(first.p99),
        figure(first.min),
        figure(timesBare),
        figure(timesBubblewrap),
        figure(timesNspawn),
        figure(timesNspawnPaired),
        figure(known?.median),
        figure(known?.p99),
        figure(cpu),
      ]),
  );
}

function stageTable(variant: Variant): string {
  return table(
    [VARIANTS[variant], 'ms'],
    stages.filter((stage) => stage.variant === variant).map(({ to, ms }) => [MARKS[to].text, figure(ms)]),
  );
}
