import type { ActivitySlot } from '../../../src/diagnose/activity-page.ts';
import { type Course, NEW_COURSE } from '../../../src/diagnose/course.ts';
import type { SandboxLook, TaskLook, Terms } from '../../../src/diagnose/look.ts';
import { parseCall } from '../../../src/diagnose/system-calls.ts';
import type { Verdict } from '../../../src/diagnose/verdict.ts';
import { watchOver } from '../../../src/diagnose/watch-over.ts';

export const TERMS: Terms = {
  heartbeatMs: 1000,
  requestTimeoutMs: 30_000,
  spinMs: 30_000,
  stoppedMs: 60_000,
  starting: false,
  withoutTraffic: false,
  livenessFails: false,
  memoryBytes: 256 * 1024 ** 2,
  files: 1024,
  tasks: 64,
};

/** Texts of /proc/PID/syscall as Linux 6.18 wrote them for threads in these states. */
export const CALLS = {
  pipe: '0 0x3 0x7ffd1c2 0x1 0x0 0x0 0x0 0x7ffd1a0 0x7f21a',
  epoll: '232 0xd 0x7ffc 0x400 0xffffffff 0x0 0x0 0x7ffb0 0x7f33b',
  poll: '7 0x7f00 0x2 0xffffffff 0x0 0x0 0x0 0x7ffb0 0x7f33b',
  futex: '202 0x55d0 0x80 0x2 0x0 0x0 0x0 0x7ffc0 0x7f11c',
  futexFor: '202 0x55d0 0x89 0x0 0x7ffe0 0x0 0xffffffff 0x7ffc0 0x7f11c',
  vfork: '58 0x0 0x7ffc 0x0 0x0 0x0 0x0 0x7ffc0 0x7f11c',
  write: '1 0x5 0x55d 0x5 0x0 0x0 0x0 0x7ffc0 0x7f11c',
  running: 'running',
  fault: '-1 0x7ffc0 0x7f11c',
} as const;

/** What a thread does as time goes on: how much of it it runs and waits for a CPU, and what it sleeps in. */
export interface Conduct {
  readonly state: string;
  readonly call?: string;
  readonly run?: number;
  readonly system?: number;
  readonly wait?: number;
  readonly faults?: number;
  readonly target?: string;
}

export const IDLE: Conduct = { state: 'S', call: CALLS.epoll };
export const SPINS: Conduct = { state: 'R', call: CALLS.running, run: 1 };

/** A sandbox that is looked at as the sampler does it, with a clock of its own. */
export class WatchedSandbox {
  now = 1_000_000;
  course: Course = NEW_COURSE;
  terms: Terms = TERMS;
  /** By the id inside; 2 is the main thread, and the main loop. */
  readonly conduct = new Map<number, Conduct>([[2, IDLE]]);
  slots: ActivitySlot[] = [];
  /** When the loop came by last; undefined: no page at all. */
  tick: number | undefined = this.now;
  ticking = true;
  hasPage = true;
  complete = true;
  frozen = false;
  throttled = 0;
  memoryHigh = 0;
  forksRefused = 0;
  ownBytes = 50 * 1024 ** 2;
  descriptors = 10;
  threads = 4;
  cpuMs = 0;
  lateMs = 0;
  sleptMs = 0;
  looks = 0;
  readonly verdicts: { readonly at: number; readonly verdict: Verdict }[] = [];
  readonly #tasks = new Map<number, TaskLook>();
  #nextAt = this.now;
  #last = this.now;

  /** Requests of a slot: `over` is what differs from one that began just now in thread 2. */
  request(over: Partial<ActivitySlot> = {}): void {
    const index = over.index ?? this.slots.length;
    this.slots = this.slots.filter((slot) => slot.index !== index);
    this.slots.push({
      index,
      sequence: 2,
      inFlight: 1,
      startedAt: this.now,
      deadline: this.now + 5000,
      progress: 1n,
      traceId: '0123456789abcdef0123456789abcdef',
      tid: 2,
      done: 3,
      failed: 0,
      method: 'embed',
      ...over,
    });
  }

  /** Lets time pass; each look is made when it was asked for. `each` is called before it. */
  pass(ms: number, each: () => void = () => {}): this {
    const until = this.now + ms;
    while (this.#nextAt <= until) {
      this.now = Math.max(this.now, this.#nextAt);
      each();
      this.look();
    }
    this.now = until;
    return this;
  }

  /** Nobody looks for so long, and nothing gets on. */
  standStill(ms: number): this {
    this.now += ms;
    this.lateMs = Math.max(0, this.now - this.#nextAt);
    this.#last += ms;
    this.look();
    this.lateMs = 0;
    return this;
  }

  look(): void {
    const ms = this.now - this.#last;
    this.#last = this.now;
    this.looks += 1;
    if (this.ticking) this.tick = this.now - (this.now % 1000);
    for (const [tid, conduct] of this.conduct) this.#tasks.set(tid, this.#task(tid, conduct, ms));
    const main = this.conduct.get(2);
    this.cpuMs += (main?.run ?? 0) * ms;
    const look: SandboxLook = {
      at: this.now,
      lateMs: this.lateMs,
      sleptMs: this.sleptMs,
      page: this.hasPage ? { tick: this.tick, loopTid: 2, slots: this.slots } : undefined,
      cpuMs: this.cpuMs,
      cpuUserMs: this.cpuMs,
      throttled: this.throttled,
      memoryHigh: this.memoryHigh,
      forksRefused: this.forksRefused,
      frozen: this.frozen,
      memoryBytes: undefined,
      ownBytes: this.ownBytes,
      processes: 2,
      threads: this.threads,
      descriptors: this.descriptors,
      memoryPressure: undefined,
      main: this.#tasks.get(2),
      named: new Map([...this.#tasks].filter(([tid]) => this.conduct.has(tid))),
      complete: this.complete,
    };
    const { course, verdict, nextAt } = watchOver(this.course, look, this.terms);
    this.course = course;
    this.#nextAt = nextAt;
    if (verdict !== undefined) this.verdicts.push({ at: this.now, verdict });
  }

  /** `CLASS KIND` of all that was told. */
  get told(): string[] {
    return this.verdicts.map(({ verdict }) => `${verdict.class} ${verdict.kind}`);
  }

  #task(tid: number, conduct: Conduct, ms: number): TaskLook {
    const before = this.#tasks.get(tid);
    const { state, call = CALLS.running, run = 0, system = 0, wait = 0, faults = 0, target } = conduct;
    const awake = run > 0 || wait > 0 || faults > 0;
    return {
      pid: 4711,
      tid: 4709 + tid,
      innerTid: tid,
      state,
      userMs: (before?.userMs ?? 0) + (run - system) * ms,
      systemMs: (before?.systemMs ?? 0) + system * ms,
      majorFaults: (before?.majorFaults ?? 0) + (faults * ms) / 1000,
      runMs: (before?.runMs ?? 0) + run * ms,
      waitMs: (before?.waitMs ?? 0) + wait * ms,
      turns: (before?.turns ?? 0) + (awake ? 1 : 0),
      call: parseCall(call, 'x64'),
      wchan: 'anon_pipe_read',
      target,
    };
  }
}
