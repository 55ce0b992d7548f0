import type { Clock, Owned } from '../base/clock.ts';
import { type Course, NEW_COURSE } from '../diagnose/course.ts';
import type { Terms } from '../diagnose/look.ts';
import type { Verdict } from '../diagnose/verdict.ts';
import { watchOver } from '../diagnose/watch-over.ts';
import { watchForKills } from '../kernel/cgroup-kills.ts';
import type { CountedSandbox, OwnCounts } from '../kernel/limit-counters.ts';
import type { Gauged, GaugedSandbox, SandboxGauge } from '../kernel/sandbox-gauge.ts';
import { type Vitals, vitalsOf } from './vitals.ts';

/** A living sandbox: where to look, and what it is judged by now. */
export interface SampledSandbox extends GaugedSandbox, CountedSandbox {
  readonly unit: string;
  /** Whether what is wrong with it is to be told. */
  readonly judged: boolean;
  /** Whether what it answers is to be followed, and how fast. */
  readonly followed: boolean;
  readonly terms: Terms;
}

export interface SamplerParts {
  readonly clock: Clock;
  /** Milliseconds of CLOCK_BOOTTIME, which goes on while the machine sleeps. */
  readonly bootTime: () => number;
  readonly living: () => Iterable<SampledSandbox>;
  readonly gauge: (sandbox: GaugedSandbox) => Pick<SandboxGauge, 'look' | 'release'>;
  readonly diagnosed: (unit: string, verdict: Verdict) => void;
  /** Of one that is followed, all that a look has read. */
  readonly followed: (sandbox: SampledSandbox, gauged: Gauged) => void;
  /** What a look has read that is counted against limits, every two seconds. */
  readonly counted: (sandbox: SampledSandbox, own: OwnCounts) => void;
  /** The kernel killed a process of it for want of memory, just now. */
  readonly killed: (sandbox: SampledSandbox) => void;
  readonly gone: (sandbox: SampledSandbox) => void;
  /** A source is slow, has ended, or failed: for the journal. */
  readonly trouble: (text: string, thrown?: unknown) => void;
}

/** Who lives is asked so often (ms): sandboxes come and go, and what they are judged by changes. */
const ROSTER_MS = 1000;
/** Whoever is due so soon (ms) is looked at in the same turn: a wake-up costs more than many a look. */
const TOGETHER_MS = 15;
/** Looks in one turn of the event loop; who has waited longest comes first. */
const AT_ONCE = 16;
/** A limit that is reached may be told of so much later. */
const COUNT_EVERY_MS = 2000;
/** A look takes a tenth of a millisecond; one that takes this long (ms) was kept waiting by something. */
const SLOW_LOOK_MS = 100;
/** Trouble of one kind with one sandbox is told once within this time (ms). */
const QUIET_MS = 600_000;
/** What an ear may be wrong by when two clocks are compared (ms): /proc/uptime has hundredths of a second. */
const CLOCKS_DIFFER_MS = 100;
/** Spreads any number of sandboxes evenly over the heartbeat. */
const GOLDEN = 0.618_033_988_749_895;

interface Sample {
  sandbox: SampledSandbox;
  readonly gauge: Pick<SandboxGauge, 'look' | 'release'>;
  kills: Owned | undefined;
  course: Course;
  vitals: Vitals | undefined;
  dueAt: number;
  close: boolean;
  countAt: number;
  quietUntil: number;
}

/**
 * Looks at each living sandbox once in a heartbeat, more often while something is suspicious, and tells what is wrong.
 * It blames nobody for what the host did, so it also watches how late it is itself.
 */
export class Sampler implements Owned {
  readonly #parts: SamplerParts;
  readonly #samples = new Map<string, Sample>();
  #timer: Owned | undefined;
  #rosterAt = 0;
  #number = 0;
  #ahead: number;
  #released = false;

  constructor(parts: SamplerParts) {
    this.#parts = parts;
    this.#ahead = parts.bootTime() - parts.clock.now();
    this.#rosterAt = parts.clock.now();
    this.#sleep();
  }

  /** Of the last heartbeat; undefined before the first. */
  vitals(unit: string): Vitals | undefined {
    return this.#samples.get(unit)?.vitals;
  }

  release(): void {
    this.#released = true;
    this.#timer?.release();
    for (const sample of this.#samples.values()) this.#drop(sample);
    this.#samples.clear();
  }

  #sleep(): void {
    if (this.#released) return;
    const now = this.#parts.clock.now();
    let next = this.#rosterAt;
    for (const { dueAt } of this.#samples.values()) next = Math.min(next, dueAt);
    this.#timer = this.#parts.clock.after(Math.max(0, next - now), () => this.#wake());
  }

  #wake(): void {
    const { clock, bootTime, trouble } = this.#parts;
    try {
      const now = clock.now();
      const ahead = bootTime() - now;
      const sleptMs = ahead - this.#ahead < CLOCKS_DIFFER_MS ? 0 : ahead - this.#ahead;
      this.#ahead = ahead;
      // All of them slept, whoever is due.
      if (sleptMs > 0) for (const sample of this.#samples.values()) sample.dueAt = Math.min(sample.dueAt, now);
      if (now >= this.#rosterAt) this.#callRoll(now);
      const due = [...this.#samples.values()].filter(({ dueAt }) => dueAt <= now + TOGETHER_MS);
      due.sort((one, other) => one.dueAt - other.dueAt);
      for (const sample of due.slice(0, sleptMs > 0 ? due.length : AT_ONCE)) this.#look(sample, sleptMs);
    } catch (thrown) {
      trouble('looking at sandboxes failed', thrown);
    }
    this.#sleep();
  }

  #callRoll(now: number): void {
    const { living, gauge, gone } = this.#parts;
    this.#rosterAt = now + ROSTER_MS;
    const there = new Set<string>();
    for (const sandbox of living()) {
      there.add(sandbox.unit);
      const known = this.#samples.get(sandbox.unit);
      if (known !== undefined) {
        known.sandbox = sandbox;
        continue;
      }
      this.#number += 1;
      this.#samples.set(sandbox.unit, {
        sandbox,
        gauge: gauge(sandbox),
        kills: undefined,
        course: NEW_COURSE,
        vitals: undefined,
        dueAt: now + ((this.#number * GOLDEN) % 1) * sandbox.terms.heartbeatMs,
        close: false,
        countAt: now,
        quietUntil: 0,
      });
    }
    for (const [unit, sample] of this.#samples) {
      if (there.has(unit)) continue;
      this.#drop(sample);
      this.#samples.delete(unit);
      gone(sample.sandbox);
    }
  }

  #look(sample: Sample, sleptMs: number): void {
    const { clock, counted, diagnosed, followed } = this.#parts;
    const { sandbox } = sample;
    const now = clock.now();
    const lateMs = Math.max(0, now - sample.dueAt);
    sample.dueAt = now + sandbox.terms.heartbeatMs;
    const gauged = this.#read(sample, { now, lateMs, sleptMs, close: sample.close, times: sandbox.followed });
    if (gauged === undefined) return;
    if (sandbox.followed) followed(sandbox, gauged);
    const isHeartbeat = now - (sample.vitals?.at ?? 0) >= sandbox.terms.heartbeatMs / 2;
    if (isHeartbeat) sample.vitals = vitalsOf(sample.vitals, gauged);
    sample.kills ??= this.#watchKills(sample);
    if (now >= sample.countAt) {
      sample.countAt = now + COUNT_EVERY_MS;
      counted(sandbox, gauged.counts);
    }
    const { course, verdict, nextAt, close } = watchOver(sample.course, gauged.look, sandbox.terms);
    Object.assign(sample, { course, dueAt: nextAt, close });
    if (verdict !== undefined && sandbox.judged) diagnosed(sandbox.unit, verdict);
  }

  /** A source that fails or is kept waiting is told of, and the others go on. */
  #read(sample: Sample, glance: Parameters<SandboxGauge['look']>[0]): Gauged | undefined {
    const { clock } = this.#parts;
    const { unit } = sample.sandbox;
    try {
      const gauged = sample.gauge.look(glance);
      const tookMs = Math.round(clock.now() - glance.now);
      if (tookMs >= SLOW_LOOK_MS) this.#complain(sample, `looking at '${unit}' took ${tookMs} ms`);
      return gauged;
    } catch (thrown) {
      this.#complain(sample, `'${unit}' cannot be looked at`, thrown);
      return undefined;
    }
  }

  #watchKills(sample: Sample): Owned {
    const { clock, killed } = this.#parts;
    const { unit, cgroup } = sample.sandbox;
    const ended = (why: unknown): void => this.#complain(sample, `the watch for kills of '${unit}' has ended`, why);
    return watchForKills(cgroup, clock, () => killed(sample.sandbox), ended);
  }

  #complain(sample: Sample, text: string, thrown?: unknown): void {
    const now = this.#parts.clock.now();
    if (now < sample.quietUntil) return;
    sample.quietUntil = now + QUIET_MS;
    this.#parts.trouble(text, thrown);
  }

  #drop(sample: Sample): void {
    sample.kills?.release();
    sample.gauge.release();
  }
}
