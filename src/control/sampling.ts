import type { Supervisor } from '../act/supervisor.ts';
import type { Clock, Owned } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import type { Observation } from '../decide/observation.ts';
import type { PluginState, SandboxEntry } from '../decide/plugin-state.ts';
import type { Terms } from '../diagnose/look.ts';
import { bootTime } from '../kernel/clock.ts';
import type { CountedSandbox } from '../kernel/limit-counters.ts';
import { processorTimes } from '../kernel/processor-times.ts';
import { SandboxGauge } from '../kernel/sandbox-gauge.ts';
import { activityFile } from '../plan/activity.ts';
import { parseSandboxUnit } from '../plan/identity.ts';
import type { HostPaths, PluginPlan, SlotName } from '../plan/plan.ts';
import type { Chronicle } from '../record/chronicle.ts';
import type { MetricsReport } from '../sandbox/report.ts';
import type { SandboxRecord } from '../sandbox/sandbox-record.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import type { Listeners } from '../traffic/listeners.ts';
import { LimitWatch } from '../watch/limit-watch.ts';
import { type SampledSandbox, Sampler } from '../watch/sampler.ts';
import { UpgradeWatch, type WatchedUpgrade } from '../watch/upgrade-watch.ts';
import type { Vitals } from '../watch/vitals.ts';
import type { EventKind } from './api.ts';
import { sideOf, watchedUpgrade } from './upgrade-trial.ts';

export interface SamplingParts {
  readonly clock: Clock;
  readonly paths: HostPaths;
  readonly supervisor: Supervisor;
  readonly sandboxes: Sandboxes;
  readonly listeners: Pick<Listeners, 'standing'>;
  readonly observe: (unit: string, seen: Observation) => void;
  readonly chronicle: Pick<Chronicle<EventKind>, 'defect' | 'ignored'>;
}

/** The watch over all living sandboxes: who they are, what they are judged by, and where to what is found goes. */
export class Sampling implements Owned {
  readonly #parts: SamplingParts;
  readonly #limits: LimitWatch;
  readonly #upgrades: UpgradeWatch;
  /** Units whose liveness probe fails now. */
  readonly #failing = new Set<string>();
  #sampler: Sampler | undefined;
  /** The upgrade of which it was told last that metrics cannot be read. */
  #untold: string | undefined;

  constructor(parts: SamplingParts) {
    this.#parts = parts;
    const { observe, chronicle } = parts;
    this.#limits = new LimitWatch(
      (unit, counters) => observe(unit, { kind: 'counted', unit, counters }),
      (thrown) => chronicle.defect(thrown),
    );
    this.#upgrades = new UpgradeWatch({
      judged: (plugin, judged) => parts.supervisor.loops.get(plugin)?.observe({ kind: 'signals', ...judged }),
      ask: (unit) => parts.sandboxes.get(unit)?.askMetrics(),
      processors: processorTimes,
    });
  }

  /** From here on sandboxes are looked at, beginning with what was counted for those of an earlier supervisor. */
  async begin(): Promise<void> {
    const { clock, observe, chronicle } = this.#parts;
    await this.#limits.begin(this.#living());
    this.#sampler = new Sampler({
      clock,
      bootTime,
      living: () => this.#living(),
      gauge: (sandbox) => new SandboxGauge(sandbox),
      diagnosed: (unit, verdict) => observe(unit, { kind: 'diagnosed', unit, verdict }),
      followed: ({ unit }, gauged) => {
        const upgrade = this.#upgradeOf(unit);
        if (upgrade !== undefined) this.#upgrades.look(upgrade, unit, gauged);
      },
      counted: (sandbox, own) => this.#limits.take(sandbox.unit, sandbox, own),
      killed: (sandbox) => this.#limits.look(sandbox.unit, sandbox),
      gone: (sandbox) => {
        this.#limits.forget(sandbox);
        this.#failing.delete(sandbox.unit);
      },
      trouble: (text, thrown) => chronicle.ignored(text, thrown === undefined ? undefined : asFailure(thrown)),
    });
  }

  /** What was observed, and is something to judge by. */
  seen(observation: Observation): void {
    if (observation.kind !== 'probed' || observation.probe !== 'liveness') return;
    if (observation.passes) this.#failing.delete(observation.unit);
    else this.#failing.add(observation.unit);
  }

  /** What a program tells of itself; nobody asks but for an upgrade. */
  told(unit: string, report: MetricsReport): void {
    const upgrade = this.#upgradeOf(unit);
    if (upgrade === undefined) return;
    if (report.error === undefined) return this.#upgrades.told(upgrade, unit, report, this.#parts.clock.now());
    const { id } = upgrade;
    if (this.#untold === id) return;
    this.#untold = id;
    this.#parts.chronicle.ignored(`the metrics of '${unit}' cannot be read`, new Failure('BH330', report.error));
  }

  /** It ended; what it died of is to be known first. */
  lookAtEnd(record: SandboxRecord): void {
    this.#limits.look(record.unit, counted(record));
    this.noteEnd(record);
  }

  /** It ended, or did not even begin: before anything is decided about it. */
  noteEnd({ plugin, unit }: Pick<SandboxRecord, 'plugin' | 'unit'>): void {
    const state = this.#parts.supervisor.loops.get(plugin)?.state;
    const entry = state?.sandboxes.get(unit);
    const watched = this.#upgradeOf(unit);
    if (state?.upgrade === undefined || entry === undefined || entry.learning || watched === undefined) return;
    const why = entry.doomed ? 'ill' : entry.asked || entry.life === 'stopping' ? 'asked' : 'died';
    this.#upgrades.ended(watched, sideOf(state.upgrade, entry), why, this.#parts.clock.now());
  }

  /** What the sandbox was at, at its last heartbeat. */
  vitals(unit: string): Vitals | undefined {
    return this.#sampler?.vitals(unit);
  }

  release(): void {
    this.#sampler?.release();
    this.#limits.release();
  }

  /** Asked for each second. */
  #living(): Iterable<SampledSandbox> {
    const { clock, supervisor, sandboxes, paths } = this.#parts;
    const upgrades = [...supervisor.loops.values()].flatMap(({ state }) => this.#watched(state) ?? []);
    this.#upgrades.turn(upgrades, clock.now());
    return sampledSandboxes(supervisor, sandboxes, paths, this.#failing);
  }

  #upgradeOf(unit: string): WatchedUpgrade | undefined {
    const plugin = parseSandboxUnit(unit)?.plugin;
    const state = plugin === undefined ? undefined : this.#parts.supervisor.loops.get(plugin)?.state;
    return state === undefined ? undefined : this.#watched(state);
  }

  #watched(state: PluginState): WatchedUpgrade | undefined {
    return watchedUpgrade(state, ({ plan, upgrade }, slot) =>
      this.#queued([...(plan?.listeners ?? []), ...(upgrade?.plan?.listeners ?? [])], slot),
    );
  }

  /** Connections that wait at the listeners of a slot; undefined when it has none. */
  #queued(listeners: PluginPlan['listeners'], slot: SlotName): number | undefined {
    const keys = new Set(listeners.map(({ key }) => key));
    const standing = [...keys].flatMap((key) => this.#parts.listeners.standing(key));
    const queued = standing.flatMap((listener) => (listener.slot === slot ? (listener.queued ?? []) : []));
    return queued.length === 0 ? undefined : queued.reduce((sum, count) => sum + count, 0);
  }
}

/** What is looked at of a sandbox to see its limits reached. */
function counted({ cgroup, payloadCgroup, fillable = [] }: SandboxRecord): CountedSandbox {
  return { cgroup, payloadCgroup, fillable };
}

/**
 * All sandboxes whose payload runs or may run, with what they are judged by. What is stopping, or learns, is looked at
 * but not judged.
 * @param failing units whose liveness probe fails now
 */
function* sampledSandboxes(
  supervisor: Supervisor,
  sandboxes: Sandboxes,
  paths: HostPaths,
  failing: ReadonlySet<string>,
): Iterable<SampledSandbox> {
  for (const { state } of supervisor.loops.values()) {
    const { plan, sandboxes: entries } = state;
    if (plan === undefined) continue;
    for (const entry of entries.values()) {
      const record = sandboxes.get(entry.unit)?.record;
      if (record === undefined || (entry.life !== 'starting' && entry.life !== 'ready' && entry.life !== 'stopping'))
        continue;
      yield {
        ...counted(record),
        unit: entry.unit,
        activity: activityFile(record, paths),
        judged: entry.life === 'ready' && !entry.learning,
        followed: state.upgrade !== undefined && !entry.learning,
        terms: termsOf(plan, entry, failing.has(entry.unit)),
      };
    }
  }
}

function termsOf({ declaration, limits }: PluginPlan, entry: SandboxEntry, livenessFails: boolean): Terms {
  const { heartbeatMs, requestTimeoutMs, spinMs, stoppedMs } = declaration.health;
  return {
    heartbeatMs,
    requestTimeoutMs,
    spinMs,
    stoppedMs,
    starting: entry.life === 'starting',
    withoutTraffic: entry.standby || (entry.gate !== undefined && entry.gate !== 'open'),
    livenessFails,
    memoryBytes: limits.memoryMax,
    files: limits.files,
    tasks: limits.tasksMax,
  };
}
