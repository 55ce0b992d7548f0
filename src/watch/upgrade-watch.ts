import type { JudgeSettings, MetricsEndpoint } from '../declare/upgrade.ts';
import { type Judgement, judgeTrial, type SideSignals, signalsOf } from '../diagnose/judge.ts';
import type { ToldMetrics } from '../diagnose/metrics.ts';
import {
  type BothSides,
  beginTrial,
  type HostUse,
  joinAnswers,
  NO_ANSWERS,
  NO_USE,
  nextTrial,
  type SideLook,
  type Trial,
  type TrialLook,
  withEarlier,
  withLook,
} from '../diagnose/trial.ts';
import type { ProcessorTimes } from '../kernel/processor-times.ts';
import type { Gauged } from '../kernel/sandbox-gauge.ts';
import { SandboxTally } from './sandbox-tally.ts';

export type Side = keyof BothSides<unknown>;

/** A sandbox of either side, as it stands now. */
export interface WatchedSandbox {
  readonly unit: string;
  readonly side: Side;
  /** It is one of those that get the connections of its side. */
  readonly serves: boolean;
  /** Monotonic ms. */
  readonly readyAt: number | undefined;
  readonly unready: boolean;
  readonly ill: boolean;
  readonly memoryMax: number | 'infinity';
  /** Where its program tells its own figures. */
  readonly metrics: MetricsEndpoint | undefined;
}

/** An upgrade that is under way. Times in ms. */
export interface WatchedUpgrade {
  readonly plugin: string;
  readonly id: string;
  /** Monotonic; when it was asked for. */
  readonly since: number;
  /** Monotonic; since when the new side has what it is judged by. Undefined while it has nothing. */
  readonly stageSince: number | undefined;
  readonly bakeMs: number;
  readonly terms: JudgeSettings;
  readonly heartbeatMs: number;
  readonly sandboxes: readonly WatchedSandbox[];
  /** Connections that wait. */
  readonly queued: BothSides<number | undefined>;
}

export interface Judged {
  readonly id: string;
  readonly old: SideSignals;
  readonly new: SideSignals;
  readonly judgement: Judgement;
}

export interface UpgradeWatchParts {
  readonly judged: (plugin: string, judged: Judged) => void;
  /** Its program is to be asked for its figures; what comes of it is given to `told`. */
  readonly ask: (unit: string) => void;
  /** What the host's processors did since it began; undefined when that is not known. */
  readonly processors: () => ProcessorTimes | undefined;
}

/** Both sides are looked at together so often (ms). */
const TURN_MS = 1000;
/** Turns come from looks at all sandboxes, which may be a bit early. */
const EARLY_MS = 100;
/** A program may be slow at first for a third of a stage, and for so long (ms) at most. */
const COLD_MS = 5000;
/** Of one that was ready before anybody watched it is known for so many looks that it has begun just now. */
const FRESH_LOOKS = 2;

/** Requests in hand of one side that are looked at, the oldest ones. */
const MOST_AGES = 64;

interface Tallied {
  side: Side;
  /** It was there before the upgrade: whatever side it is on by now, what it did then is what the old one did. */
  readonly isFromBefore: boolean;
  readonly tally: SandboxTally;
}

interface Watched {
  readonly id: string;
  readonly begunAt: number;
  processors: ProcessorTimes | undefined;
  /** By unit. One that is not there any more stays until what it answered is counted. */
  readonly tallies: Map<string, Tallied>;
  readonly deaths: Record<Side, number>;
  readonly replaced: Record<Side, number>;
  readonly illOnes: Record<Side, Set<string>>;
  stageSince: number | undefined;
  /** Since when the new side has traffic: in place its sandboxes have requests in hand that are older. */
  newSince: number | undefined;
  trial: Trial;
}

/**
 * Follows both sides of each upgrade with what the sampler has read anyway, and has them judged once a second while the
 * new side has traffic. All that is remembered goes with the upgrade; after a restart it begins anew.
 */
export class UpgradeWatch {
  readonly #parts: UpgradeWatchParts;
  readonly #watched = new Map<string, Watched>();

  constructor(parts: UpgradeWatchParts) {
    this.#parts = parts;
  }

  /** What a look at one of its sandboxes has read. */
  look(upgrade: WatchedUpgrade, unit: string, { look, durations }: Pick<Gauged, 'look' | 'durations'>): void {
    const sandbox = upgrade.sandboxes.find((one) => one.unit === unit);
    if (sandbox === undefined) return;
    this.#tallyOf(upgrade, sandbox, look.at).look(look, durations, sandbox.readyAt !== undefined);
  }

  /** What the program of one of its sandboxes tells of itself. */
  told(upgrade: WatchedUpgrade, unit: string, told: ToldMetrics, now: number): void {
    const sandbox = upgrade.sandboxes.find((one) => one.unit === unit);
    if (sandbox !== undefined) this.#tallyOf(upgrade, sandbox, now).told(now, told);
  }

  /** One of its sandboxes ended. `asked`: because it was to; `ill`: for what was found of it. */
  ended(upgrade: WatchedUpgrade, side: Side, why: 'died' | 'ill' | 'asked', now: number): void {
    const watched = this.#of(upgrade, now);
    if (why === 'died') watched.deaths[side] += 1;
    if (why !== 'asked') watched.replaced[side] += 1;
  }

  /** To be called about once a second with all upgrades that are under way. */
  turn(upgrades: readonly WatchedUpgrade[], now: number): void {
    const there = new Set(upgrades.map(({ plugin }) => plugin));
    for (const plugin of this.#watched.keys()) if (!there.has(plugin)) this.#watched.delete(plugin);
    for (const upgrade of upgrades) this.#turn(upgrade, now);
  }

  #turn(upgrade: WatchedUpgrade, now: number): void {
    const watched = this.#of(upgrade, now);
    if (watched.stageSince !== upgrade.stageSince) {
      // What happened until now belongs to what was before.
      this.#look(watched, upgrade, now);
      watched.trial = nextTrial(now, watched.trial);
      watched.stageSince = upgrade.stageSince;
      watched.newSince ??= upgrade.stageSince;
    }
    if (now - watched.trial.at < Math.max(TURN_MS, upgrade.heartbeatMs) - EARLY_MS) return;
    this.#look(watched, upgrade, now);
    for (const { unit, serves, metrics } of upgrade.sandboxes)
      if (serves && metrics !== undefined) this.#parts.ask(unit);
    const signals = signalsOf(watched.trial);
    if (upgrade.stageSince === undefined || signals === undefined) return;
    const judgement = judgeTrial(watched.trial, upgrade.terms, upgrade.bakeMs);
    this.#parts.judged(upgrade.plugin, { id: upgrade.id, ...signals, judgement });
  }

  #look(watched: Watched, upgrade: WatchedUpgrade, now: number): void {
    // It may bring what the old side did before, too.
    const look = this.#both(watched, upgrade, now);
    watched.trial = withLook(watched.trial, look, upgrade.terms.samples);
  }

  #of({ plugin, id, stageSince }: WatchedUpgrade, now: number): Watched {
    const known = this.#watched.get(plugin);
    if (known?.id === id) return known;
    const watched: Watched = {
      id,
      begunAt: now,
      processors: this.#parts.processors(),
      tallies: new Map(),
      deaths: { old: 0, new: 0 },
      replaced: { old: 0, new: 0 },
      illOnes: { old: new Set(), new: new Set() },
      stageSince,
      newSince: stageSince,
      trial: beginTrial(now, NO_ANSWERS),
    };
    this.#watched.set(plugin, watched);
    return watched;
  }

  #tallyOf(upgrade: WatchedUpgrade, { unit, side, readyAt, metrics }: WatchedSandbox, now: number): SandboxTally {
    const { tallies, begunAt } = this.#of(upgrade, now);
    const known = tallies.get(unit)?.tally;
    if (known !== undefined) return known;
    const tally = new SandboxTally({
      fresh:
        readyAt === undefined ||
        readyAt >= begunAt ||
        (readyAt >= upgrade.since && now - readyAt < FRESH_LOOKS * upgrade.heartbeatMs),
      graceMs: Math.min(COLD_MS, upgrade.bakeMs / 3),
      heartbeatMs: upgrade.heartbeatMs,
      metrics: { counts: metrics?.requests !== undefined, times: metrics?.latency !== undefined },
    });
    tallies.set(unit, { side, isFromBefore: readyAt !== undefined && readyAt < upgrade.since, tally });
    return tally;
  }

  /** What both sides did since they were looked at last, and everybody else on the host. */
  #both(watched: Watched, upgrade: WatchedUpgrade, now: number): TrialLook {
    const gone = new Set(watched.tallies.keys());
    for (const { unit, side } of upgrade.sandboxes) {
      gone.delete(unit);
      const tallied = watched.tallies.get(unit);
      // In place it is the sandboxes that change sides.
      if (tallied !== undefined) tallied.side = side;
    }
    const [old, is] = [this.#side(watched, upgrade, 'old'), this.#side(watched, upgrade, 'new')];
    for (const unit of gone) watched.tallies.delete(unit);
    return { at: now, old: old.look, new: is.look, host: this.#host(watched, old.cpuMs + is.cpuMs) };
  }

  #host(watched: Watched, ownMs: number): HostUse {
    const [before, now] = [watched.processors, this.#parts.processors()];
    watched.processors = now;
    if (before === undefined || now === undefined) return NO_USE;
    return { othersMs: Math.max(0, now.busyMs - before.busyMs - ownMs), ofMs: Math.max(0, now.ofMs - before.ofMs) };
  }

  /** @returns with the processor time of its sandboxes (ms) */
  #side(watched: Watched, { sandboxes, queued }: WatchedUpgrade, side: Side): { look: SideLook; cpuMs: number } {
    const there = sandboxes.filter((sandbox) => sandbox.side === side);
    const serving = there.filter(({ serves }) => serves);
    for (const { unit, ill } of there) if (ill) watched.illOnes[side].add(unit);
    let [answers, cpuMs] = [NO_ANSWERS, 0];
    for (const tallied of watched.tallies.values()) {
      if (tallied.side !== side) continue;
      const taken = tallied.tally.take();
      answers = joinAnswers(answers, taken.answers);
      cpuMs += taken.cpuMs;
      if (side === 'old' || tallied.isFromBefore) watched.trial = withEarlier(watched.trial, taken.earlier);
    }
    const tallies = there.flatMap(({ unit }) => watched.tallies.get(unit)?.tally ?? []);
    const source = tallies.find((tally) => tally.source !== undefined)?.source;
    const look = {
      sandboxes: serving.length,
      unready: serving.filter(({ unready }) => unready).length,
      deaths: watched.deaths[side],
      ill: watched.illOnes[side].size,
      restarts: watched.replaced[side],
      requests: source === undefined ? undefined : answers.requests,
      errors: tallies.some(({ tellsErrors }) => tellsErrors) ? answers.errors : undefined,
      durations: answers.durations,
      inHand: sumOf(tallies.map(({ inHand }) => inHand)),
      agesMs: tallies
        .flatMap((tally) => tally.agesMs(side === 'new' ? (watched.newSince ?? 0) : 0))
        .sort((one, other) => other - one)
        .slice(0, MOST_AGES),
      queued: queued[side],
      memoryBytes: sumOf(tallies.map(({ memoryBytes }) => memoryBytes)),
      memoryPerMinute: sumOf(tallies.map(({ memoryPerMinute }) => memoryPerMinute)),
      memoryRoom: roomOf(there, watched.tallies),
      source,
    };
    return { look, cpuMs };
  }
}

/** What the growth of those that are known is measured by. */
function roomOf(sandboxes: readonly WatchedSandbox[], tallies: ReadonlyMap<string, Tallied>): number | undefined {
  return sumOf(
    sandboxes.map(({ unit, memoryMax }) => {
      const tally = tallies.get(unit)?.tally;
      if (tally?.memoryPerMinute === undefined) return undefined;
      return memoryMax === 'infinity' ? tally.memoryBytes : memoryMax;
    }),
  );
}

/** Undefined when none is known. */
function sumOf(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0);
}
