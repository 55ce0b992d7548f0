import { formatBytes } from '../base/bytes.ts';
import type { LimitCounters } from '../base/limit-counters.ts';
import { KILL_TAKES_MS, type OutOfMemory } from '../diagnose/out-of-memory.ts';
import { limitText } from '../plan/limit-texts.ts';
import type { PluginPlan } from '../plan/plan.ts';
import type { SandboxEntry } from './plugin-state.ts';

/** Limits whose being reached is told of, by their key below `limits`; `tmp` is `view.tmp`, `state` is `state.quota`. */
export type ReachedName = 'memory' | 'memory-high' | 'tasks' | 'cpu' | 'files' | 'tmp' | 'state' | 'log';

/** How often a sandbox was at one of its limits. */
export interface Reach {
  readonly limit: ReachedName;
  /** Since the sandbox began, as far as it was seen. */
  readonly count: number;
  /** `tasks 50 (181 forks refused)`. */
  readonly text: string;
  /** Monotonic ms. */
  readonly at: number;
  /** No note before this time: what goes on for long is told again and again, but ever more seldom. */
  readonly quietUntil: number;
  readonly quietMs: number;
}

export type Reaches = ReadonlyMap<ReachedName, Reach>;

const FIRST_QUIET_MS = 60_000;
/** Of a quota, which are 100 ms each: what is held for so long is told of. */
const HELD_PERIODS = 10;
const LONGEST_QUIET_MS = 3_600_000;

/** A sandbox with what is known of it now, and which of that is to be noted. */
export interface Counted {
  readonly sandbox: SandboxEntry;
  readonly news: readonly Reach[];
}

/** The sandbox with these counters. What was counted before an earlier supervisor's one was looked at is no news. */
export function withCounters(counters: LimitCounters, sandbox: SandboxEntry, plan: PluginPlan, now: number): Counted {
  const { counters: before = counters, reached } = sandbox;
  const ranOut = memoryRanOut(before, counters, now) ?? sandbox.ranOut;
  const found = rises(reached, before, counters, plan.declaration.state.path).map((rise) =>
    reachOf(reached, rise, plan, now),
  );
  return {
    sandbox: {
      ...sandbox,
      counters,
      ranOut,
      outOfMemory: counters.oomKills > before.oomKills ? killer(ranOut, now) : sandbox.outOfMemory,
      reached: new Map([...reached, ...found.map(({ reach }) => [reach.limit, reach] as const)]),
    },
    news: found.filter(({ isNews }) => isNews).map(({ reach }) => reach),
  };
}

/** The sandbox of which journald dropped so many more messages. */
export function withDropped(dropped: number, sandbox: SandboxEntry, plan: PluginPlan, now: number): Counted {
  const count = (sandbox.reached.get('log')?.count ?? 0) + dropped;
  const rise = { limit: 'log', count, detail: counted(count, 'message dropped', 'messages dropped') } as const;
  const { reach, isNews } = reachOf(sandbox.reached, rise, plan, now);
  return { sandbox: { ...sandbox, reached: new Map(sandbox.reached).set('log', reach) }, news: isNews ? [reach] : [] };
}

/** Whose memory ran out between these counters; undefined when none of ours did. */
function memoryRanOut(before: LimitCounters, after: LimitCounters, now: number): OutOfMemory | undefined {
  if (after.oom > before.oom) return { whose: 'sandbox', at: now };
  if (after.sliceOom > before.sliceOom) return { whose: 'plugin', at: now };
  return after.pluginsOom > before.pluginsOom ? { whose: 'plugins', at: now } : undefined;
}

/** Whose memory a process was killed for. The kernel counts first that it ran out, and some time later the kill. */
function killer(ranOut: OutOfMemory | undefined, now: number): OutOfMemory {
  return { whose: ranOut !== undefined && now - ranOut.at <= KILL_TAKES_MS ? ranOut.whose : 'host', at: now };
}

interface Rise {
  readonly limit: ReachedName;
  readonly count: number;
  readonly detail: string;
  /** It is known, but not worth a note. */
  readonly quiet?: boolean;
}

function rises(known: Reaches, before: LimitCounters, after: LimitCounters, statePath: string | undefined): Rise[] {
  const found: Rise[] = [];
  const add = (limit: ReachedName, count: number, detail: string) => found.push({ limit, count, detail });
  if (after.oomKills > before.oomKills || after.max > before.max) {
    const killed = after.oomKills === 0 ? '' : `, ${counted(after.oomKills, 'process', 'processes')} killed`;
    add('memory', after.max, `reached ${counted(after.max, 'time', 'times')}${killed}`);
  }
  if (after.high > before.high) add('memory-high', after.high, `slowed down ${counted(after.high, 'time', 'times')}`);
  if (after.forksRefused > before.forksRefused)
    add('tasks', after.forksRefused, counted(after.forksRefused, 'fork refused', 'forks refused'));
  if (after.throttled > before.throttled)
    found.push({
      limit: 'cpu',
      count: after.throttled,
      detail: `throttled in ${after.throttled} of ${after.periods} periods`,
      quiet: !isHeldByQuota(before, after),
    });
  const times = (limit: ReachedName) => (known.get(limit)?.count ?? 0) + 1;
  if (after.files > 0 && before.files === 0) add('files', times('files'), `${after.files} open in one process`);
  const full = after.full.filter((path) => !before.full.includes(path));
  const temporary = full.filter((path) => path !== statePath);
  if (temporary.length > 0) add('tmp', times('tmp'), `${temporary.join(', ')} full`);
  if (temporary.length < full.length) add('state', times('state'), `${statePath} full`);
  return found;
}

/** A start, or a burst, may run into the quota for a moment: that is what it is there for. */
function isHeldByQuota(before: LimitCounters, after: LimitCounters): boolean {
  const periods = after.periods - before.periods;
  return periods >= HELD_PERIODS && after.throttled - before.throttled >= periods / 2;
}

function reachOf(
  reached: Reaches,
  { limit, count, detail, quiet = false }: Rise,
  plan: PluginPlan,
  now: number,
): { readonly reach: Reach; readonly isNews: boolean } {
  const known = reached.get(limit);
  const text = `${limit} ${limitValue(limit, plan)} (${detail})`;
  if (quiet || (known !== undefined && now < known.quietUntil)) {
    const { quietUntil, quietMs } = known ?? { quietUntil: now, quietMs: FIRST_QUIET_MS / 2 };
    return { reach: { limit, count, text, at: now, quietUntil, quietMs }, isNews: false };
  }
  const quietMs = known === undefined ? FIRST_QUIET_MS : Math.min(LONGEST_QUIET_MS, 2 * known.quietMs);
  return { reach: { limit, count, text, at: now, quietMs, quietUntil: now + quietMs }, isNews: true };
}

function limitValue(limit: ReachedName, { limits, declaration }: PluginPlan): string {
  switch (limit) {
    case 'memory':
      return limitText('memoryMax', limits).text;
    case 'memory-high':
      return limitText('memoryHigh', limits).text;
    case 'tasks':
      return limitText('tasksMax', limits).text;
    case 'cpu':
      return limitText('cpuQuotaPerSecUsec', limits).text;
    case 'files':
      return limitText('files', limits).text;
    case 'log':
      return declaration.isolation === 'scope' ? 'of journald' : limitText('log', limits).text;
    case 'tmp':
      return formatBytes(declaration.view.tmp);
    case 'state':
      return declaration.state.quota === 'infinity' ? 'infinity' : formatBytes(declaration.state.quota);
  }
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
