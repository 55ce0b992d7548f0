import assert from 'node:assert/strict';
import type { Owned } from '../../../src/base/clock.ts';
import type { SandboxLook } from '../../../src/diagnose/look.ts';
import type { Gauged, Glance } from '../../../src/kernel/sandbox-gauge.ts';
import { type SampledSandbox, Sampler } from '../../../src/watch/sampler.ts';
import { TERMS } from '../diagnose/watched-sandbox.ts';

/** A clock and a machine for the sampler: looks are counted, and can be slow, fail, or find something. */
class Machine {
  now = 1000;
  ahead = 0;
  living = new Map<string, SampledSandbox>();
  readonly glances: (Glance & { readonly unit: string })[] = [];
  readonly trouble: string[] = [];
  readonly told: string[] = [];
  readonly gone: string[] = [];
  readonly followed: string[] = [];
  readonly released: string[] = [];
  counted = 0;
  slowMs = 0;
  fails = '';
  frozen = false;
  #timer: { at: number; run: () => void } | undefined;
  readonly sampler: Sampler;

  constructor() {
    this.sampler = new Sampler({
      clock: { now: () => this.now, after: (ms, run) => this.#after(ms, run) },
      bootTime: () => this.now + this.ahead,
      living: () => this.living.values(),
      gauge: ({ cgroup }) => ({
        look: (glance) => this.#look(cgroup, glance),
        release: () => void this.released.push(cgroup),
      }),
      diagnosed: (unit, { kind }) => void this.told.push(`${unit} ${kind}`),
      followed: ({ unit }) => void this.followed.push(unit),
      counted: () => {
        this.counted += 1;
      },
      killed: () => {},
      gone: ({ unit }) => void this.gone.push(unit),
      trouble: (text) => void this.trouble.push(text),
    });
  }

  add(unit: string, over: Partial<SampledSandbox> = {}): void {
    const place = { cgroup: unit, payloadCgroup: `${unit}/payload`, activity: '/nowhere', fillable: [] };
    this.living.set(unit, { ...place, unit, judged: true, followed: false, terms: TERMS, ...over });
  }

  pass(ms: number): void {
    const until = this.now + ms;
    while (this.#timer !== undefined && this.#timer.at <= until) {
      const { at, run } = this.#timer;
      this.#timer = undefined;
      this.now = Math.max(this.now, at);
      run();
    }
    this.now = Math.max(this.now, until);
  }

  /** Nobody runs for so long. */
  oversleep(ms: number): void {
    this.now += ms;
    this.pass(0);
  }

  get waits(): boolean {
    return this.#timer !== undefined;
  }

  #after(ms: number, run: () => void): Owned {
    const timer = { at: this.now + ms, run };
    this.#timer = timer;
    return {
      release: () => {
        if (this.#timer === timer) this.#timer = undefined;
      },
    };
  }

  #look(unit: string, glance: Glance): Gauged {
    this.glances.push({ unit, ...glance });
    if (this.fails === unit) throw new Error('no such file');
    this.now += this.slowMs;
    const { now: at, lateMs, sleptMs } = glance;
    const look: SandboxLook = {
      at,
      lateMs,
      sleptMs,
      page: undefined,
      cpuMs: at / 2,
      cpuUserMs: 0,
      throttled: 0,
      memoryHigh: 0,
      forksRefused: 0,
      frozen: this.frozen,
      memoryBytes: undefined,
      ownBytes: 1,
      processes: 2,
      threads: 3,
      descriptors: 4,
      memoryPressure: undefined,
      main: undefined,
      named: new Map(),
      complete: true,
    };
    const counts = { memoryEvents: undefined, cpu: undefined, tasks: undefined, files: new Map(), first: undefined };
    return { look, residentBytes: 5, counts, durations: [] };
  }
}

describe('the sampler', () => {
  it('looks at each sandbox once in a heartbeat, and spreads them over it', () => {
    const machine = new Machine();
    for (let n = 0; n < 100; n++) machine.add(`u${n}`);
    machine.pass(1);
    machine.glances.length = 0;
    const began = machine.now;
    machine.pass(10_000);
    const counts = [...machine.living.keys()].map(
      (unit) => machine.glances.filter((each) => each.unit === unit).length,
    );
    assert.ok(
      Math.min(...counts) >= 9 && Math.max(...counts) <= 11,
      `${Math.min(...counts)} to ${Math.max(...counts)}`,
    );
    const first = machine.glances.filter(({ now }) => now < began + 1000);
    for (let part = 0; part < 10; part++) {
      const inPart = first.filter(({ now }) => Math.floor((now - began) / 100) === part).length;
      assert.ok(inPart >= 5 && inPart <= 15, `${inPart} of 100 in tenth ${part}`);
    }
    assert.ok(machine.counted >= 450 && machine.counted <= 600, `${machine.counted} counted`);
  });

  it('leaves nobody out when it cannot keep up', () => {
    const machine = new Machine();
    for (let n = 0; n < 100; n++) machine.add(`u${n}`);
    machine.slowMs = 20;
    machine.pass(20_000);
    machine.glances.length = 0;
    machine.pass(20_000);
    const counts = [...machine.living.keys()].map(
      (unit) => machine.glances.filter((each) => each.unit === unit).length,
    );
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 2, `${Math.min(...counts)} to ${Math.max(...counts)}`);
  });

  it('knows how late it was itself, and that the machine slept', () => {
    const machine = new Machine();
    machine.add('u');
    machine.pass(5000);
    assert.ok(machine.glances.every(({ lateMs, sleptMs }) => lateMs < 1 && sleptMs === 0));
    machine.oversleep(3500);
    assert.ok((machine.glances.at(-1)?.lateMs ?? 0) > 2000);
    machine.ahead = 60_000;
    machine.pass(1000);
    assert.ok(machine.glances.some(({ sleptMs }) => sleptMs === 60_000));
  });

  it('tells of a look that was kept waiting, or that fails, and goes on with the others', () => {
    const machine = new Machine();
    machine.add('ill');
    machine.add('well');
    machine.fails = 'ill';
    machine.pass(5000);
    assert.deepEqual(machine.trouble, ["'ill' cannot be looked at"]);
    assert.ok(machine.glances.filter(({ unit }) => unit === 'well').length >= 4);
    machine.fails = '';
    machine.slowMs = 150;
    machine.pass(3000);
    assert.match(machine.trouble[1] ?? '', /^looking at 'well' took 150 ms$/);
  });

  it('tells what is wrong of those that are judged alone', () => {
    const machine = new Machine();
    machine.add('judged', { terms: { ...TERMS, stoppedMs: 2000 } });
    machine.add('stopping', { judged: false, terms: { ...TERMS, stoppedMs: 2000 } });
    machine.frozen = true;
    machine.pass(10_000);
    assert.deepEqual(machine.told, ['judged frozen']);
  });

  it('has the vitals of the last heartbeat', () => {
    const machine = new Machine();
    machine.add('u');
    assert.equal(machine.sampler.vitals('u'), undefined);
    machine.pass(5000);
    const vitals = machine.sampler.vitals('u');
    assert.equal(Math.round(vitals?.cpuPercent ?? 0), 50);
    assert.deepEqual([vitals?.threads, vitals?.descriptors, vitals?.residentBytes], [3, 4, 5]);
    assert.equal(vitals?.requests, null);
  });

  it('lets go of what is not there any more, and of everything in the end', () => {
    const machine = new Machine();
    machine.add('u');
    machine.add('v');
    machine.pass(2000);
    machine.living.delete('u');
    machine.pass(2000);
    assert.deepEqual([machine.gone, machine.released], [['u'], ['u']]);
    machine.sampler.release();
    assert.deepEqual(machine.released, ['u', 'v']);
    assert.equal(machine.waits, false);
  });
});
