import type { Supervisor } from '../act/supervisor.ts';
import type { Clock, Owned } from '../base/clock.ts';
import { asFailure } from '../base/failure.ts';
import type { Observation } from '../decide/observation.ts';
import type { SandboxEntry } from '../decide/plugin-state.ts';
import type { Terms } from '../diagnose/look.ts';
import { bootTime } from '../kernel/clock.ts';
import type { CountedSandbox } from '../kernel/limit-counters.ts';
import { SandboxGauge } from '../kernel/sandbox-gauge.ts';
import { activityFile } from '../plan/activity.ts';
import type { HostPaths, PluginPlan } from '../plan/plan.ts';
import type { Chronicle } from '../record/chronicle.ts';
import type { SandboxRecord } from '../sandbox/sandbox-record.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import { LimitWatch } from '../watch/limit-watch.ts';
import { type SampledSandbox, Sampler } from '../watch/sampler.ts';
import type { Vitals } from '../watch/vitals.ts';
import type { EventKind } from './api.ts';

export interface SamplingParts {
  readonly clock: Clock;
  readonly paths: HostPaths;
  readonly supervisor: Supervisor;
  readonly sandboxes: Sandboxes;
  readonly observe: (unit: string, seen: Observation) => void;
  readonly chronicle: Pick<Chronicle<EventKind>, 'defect' | 'ignored'>;
}

/** The watch over all living sandboxes: who they are, what they are judged by, and where to what is found goes. */
export class Sampling implements Owned {
  readonly #parts: SamplingParts;
  readonly #limits: LimitWatch;
  /** Units whose liveness probe fails now. */
  readonly #failing = new Set<string>();
  #sampler: Sampler | undefined;

  constructor(parts: SamplingParts) {
    this.#parts = parts;
    const { observe, chronicle } = parts;
    this.#limits = new LimitWatch(
      (unit, counters) => observe(unit, { kind: 'counted', unit, counters }),
      (thrown) => chronicle.defect(thrown),
    );
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

  /** It ended; what it died of is to be known first. */
  lookAtEnd(record: SandboxRecord): void {
    this.#limits.look(record.unit, counted(record));
  }

  /** What the sandbox was at, at its last heartbeat. */
  vitals(unit: string): Vitals | undefined {
    return this.#sampler?.vitals(unit);
  }

  release(): void {
    this.#sampler?.release();
    this.#limits.release();
  }

  #living(): Iterable<SampledSandbox> {
    const { supervisor, sandboxes, paths } = this.#parts;
    return sampledSandboxes(supervisor, sandboxes, paths, this.#failing);
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
