import assert from 'node:assert/strict';
import { DEFAULT_UPGRADE, type MetricsEndpoint } from '../../../src/declare/upgrade.ts';
import type { ActivitySlot } from '../../../src/diagnose/activity-page.ts';
import type { SandboxLook } from '../../../src/diagnose/look.ts';
import {
  type Judged,
  UpgradeWatch,
  type WatchedSandbox,
  type WatchedUpgrade,
} from '../../../src/watch/upgrade-watch.ts';
import { tries } from '../../support/thorough.ts';
import { chance } from '../diagnose/judged-upgrade.ts';

const MIB = 1024 ** 2;

/** A plugin whose sandboxes answer and grow as they are told, watched second by second. */
class Watched {
  now = 1_000_000;
  stageSince: number | undefined;
  readonly sandboxes = new Map<string, WatchedSandbox>();
  readonly said = new Map<string, { done: number; failed: number; durations: number[]; ownBytes: number }>();
  readonly judged: Judged[] = [];
  readonly asked: string[] = [];
  metrics: MetricsEndpoint | undefined;
  queued = { old: 0, new: 0 };
  inFlight = 0;
  hasPage = true;
  memoryMax: number | 'infinity' = 256 * MIB;
  /** When it was asked for: a second ago. */
  readonly since = this.now - 1000;
  processors = { busyMs: 0, ofMs: 0 };
  /** When the request in hand began. */
  startedAt: number | undefined;
  /** Those that have one; all of them, where nothing is said. */
  hangs: readonly string[] | undefined;
  readonly watch = new UpgradeWatch({
    judged: (_plugin, judged) => void this.judged.push(judged),
    ask: (unit) => void this.asked.push(unit),
    processors: () => this.processors,
  });

  add(unit: string, side: 'old' | 'new', readyAt: number | undefined): void {
    const over = { serves: true, unready: false, ill: false, memoryMax: this.memoryMax, metrics: this.metrics };
    this.sandboxes.set(unit, { unit, side, readyAt, ...over });
    this.said.set(unit, { done: 0, failed: 0, durations: [], ownBytes: 50 * MIB });
  }

  answer(unit: string, done: number, failed = 0, ms = 5): void {
    const said = this.said.get(unit);
    assert.ok(said !== undefined);
    said.done += done;
    said.failed += failed;
    said.durations.push(...Array.from({ length: Math.min(120, done) }, () => ms));
  }

  get upgrade(): WatchedUpgrade {
    const { judge: terms, bakeMs } = DEFAULT_UPGRADE;
    const { stageSince, queued, since } = this;
    const sandboxes = [...this.sandboxes.values()];
    return { plugin: 'p', id: 'p-u1', since, stageSince, bakeMs, terms, heartbeatMs: 1000, sandboxes, queued };
  }

  look(unit: string): void {
    const said = this.said.get(unit);
    if (said === undefined) return;
    const { done, failed, durations, ownBytes } = said;
    const slot = {
      index: 0,
      sequence: 2,
      inFlight: this.hangs?.includes(unit) === false ? 0 : this.inFlight,
      startedAt: this.startedAt ?? this.now - 100,
      done,
      failed,
    } as ActivitySlot;
    const page = this.hasPage ? { tick: this.now, loopTid: 2, slots: [slot] } : undefined;
    const look = { at: this.now, page, ownBytes, memoryBytes: undefined } as unknown as SandboxLook;
    this.watch.look(this.upgrade, unit, { look, durations });
    said.durations = [];
  }

  second(each: () => void = () => {}): void {
    each();
    this.now += 1000;
    for (const unit of this.sandboxes.keys()) this.look(unit);
    this.watch.turn([this.upgrade], this.now);
  }

  stage(): void {
    this.stageSince = this.now;
  }

  get last(): Judged {
    const last = this.judged.at(-1);
    assert.ok(last !== undefined, 'nothing was judged');
    return last;
  }
}

/** An old side that has answered a thousand requests in its life, and a new one that has begun just now. */
function beside(): Watched {
  const watched = new Watched();
  watched.add('old', 'old', 1000);
  watched.answer('old', 990, 10);
  watched.second();
  watched.add('new', 'new', watched.now);
  watched.second(() => watched.answer('old', 100));
  return watched;
}

describe('UpgradeWatch', () => {
  it('judges nothing before the new side has traffic, and both sides for the same time then', () => {
    const watched = beside();
    assert.equal(watched.judged.length, 0);
    watched.stage();
    for (let second = 0; second < 4; second++)
      watched.second(() => {
        watched.answer('old', 20);
        watched.answer('new', 5);
      });
    const { old, new: is, judgement } = watched.last;
    // What happened in the second in which the step began belongs to none of both.
    assert.deepEqual([old.requests, is.requests, old.errors, old.source], [60, 15, 0, 'activity']);
    assert.deepEqual([judgement.verdict, judgement.watchedMs], ['few', 3000]);
    assert.equal(judgement.reason?.text, 'requests: 15 of 50; the old side: 60; borne: 50 or more');
  });

  it('begins anew with each stage, and compares with what the old side did before when that gets nothing any more', () => {
    const watched = beside();
    watched.stage();
    for (let second = 0; second < 5; second++) watched.second(() => watched.answer('old', 50));
    watched.stage();
    watched.second();
    for (let second = 0; second < 8; second++) watched.second(() => watched.answer('new', 10, 2));
    const { judgement, old } = watched.last;
    assert.equal(old.requests, 0);
    assert.equal(judgement.verdict, 'bad');
    assert.match(
      judgement.reason?.text ?? '',
      /^errors: 16\.7 % of \d+; the old side: 0\.\d % of \d+ before; borne: 1 points more$/,
    );
  });

  it('counts what a sandbox answered that is gone by now, and one that came meanwhile from its start', () => {
    const watched = beside();
    watched.stage();
    watched.second();
    watched.answer('new', 7);
    watched.now += 200;
    watched.look('new');
    watched.sandboxes.delete('new');
    watched.add('newer', 'new', watched.now);
    watched.answer('newer', 4);
    watched.second();
    assert.deepEqual([watched.last.new.requests, watched.last.new.sandboxes], [11, 1]);
  });

  it('takes a count that went back for one that was begun anew, and an absurd one for no more than can be', () => {
    const watched = beside();
    watched.stage();
    watched.second();
    watched.second(() => watched.answer('new', 30));
    watched.second(() => watched.said.set('new', { done: 2, failed: 0, durations: [], ownBytes: MIB }));
    watched.second(() => watched.answer('new', 3));
    assert.equal(watched.last.new.requests, 33);
    watched.second(() => watched.answer('new', 2 ** 63));
    assert.ok((watched.last.new.requests ?? 0) <= 1_000_033, `${watched.last.new.requests}`);
    watched.second(() => watched.answer('new', 0, 2 ** 63));
    assert.ok((watched.last.new.errors ?? 0) <= (watched.last.new.requests ?? 0));
    watched.inFlight = 2 ** 32 - 1;
    watched.second();
    assert.equal(watched.last.new.inHand, 1_000_000);
  });

  it('leaves out how slow a program is at first, and for no longer than a third of the stage', () => {
    const watched = beside();
    watched.stage();
    watched.second();
    for (let second = 0; second < 3; second++)
      watched.second(() => {
        watched.answer('old', 20);
        watched.answer('new', 20, 0, 900);
      });
    assert.equal(watched.last.new.latency?.known, undefined);
    for (let second = 0; second < 6; second++)
      watched.second(() => {
        watched.answer('old', 20);
        watched.answer('new', 20, 0, 5);
      });
    const { judgement, new: is } = watched.last;
    assert.deepEqual([judgement.verdict, is.requests, is.latency?.p99Ms], ['good', 180, 5]);
    watched.second(() => watched.answer('new', 20, 0, 900));
    assert.equal(watched.last.new.latency?.p99Ms, 900, 'from then on what is slow counts');
  });

  it('knows what the old side did before, though it is first looked at when all of its clients wait for the new one', () => {
    const watched = new Watched();
    // Started a moment before the upgrade, too: it is not new for that.
    watched.add('old', 'old', watched.since - 500);
    watched.answer('old', 100);
    watched.watch.turn([watched.upgrade], watched.now);
    watched.add('new', 'new', watched.now);
    watched.stage();
    watched.startedAt = watched.now;
    watched.inFlight = 1;
    for (let second = 0; second < 6; second++) watched.second();
    assert.equal(watched.last.judgement.reason?.signal, 'requests', 'both sides have one in hand for as long');
    watched.hangs = ['new'];
    for (let second = 0; second < 3; second++) watched.second();
    assert.match(watched.last.judgement.reason?.text ?? '', /^stalled: 1 in hand, the oldest for 9\.0 s/);
  });

  it('does not hold a request against what changed in place while it was in hand', () => {
    const watched = new Watched();
    watched.add('one', 'old', watched.since - 60_000);
    watched.answer('one', 200);
    watched.startedAt = watched.now;
    watched.inFlight = 1;
    watched.second();
    watched.sandboxes.set('one', { ...(watched.sandboxes.get('one') as WatchedSandbox), side: 'new' });
    watched.now += 10;
    watched.stage();
    for (let second = 0; second < 6; second++) watched.second();
    assert.equal(watched.last.judgement.reason?.signal, 'requests');
    watched.startedAt = watched.now;
    for (let second = 0; second < 6; second++) watched.second();
    assert.equal(watched.last.judgement.reason?.signal, 'stalled', 'one that came since then is another thing');
  });

  it('tells apart what others do on the host', () => {
    const watched = beside();
    watched.stage();
    watched.second();
    const busy = (others: number, ms: number) =>
      watched.second(() => {
        watched.processors = { busyMs: watched.processors.busyMs + others, ofMs: watched.processors.ofMs + 2000 };
        watched.answer(others < 1000 ? 'old' : 'new', 60, 0, ms);
      });
    for (let second = 0; second < 9; second++) busy(200, 5);
    watched.stage();
    watched.second();
    for (let second = 0; second < 9; second++) busy(1900, 60);
    const { judgement, old } = watched.last;
    assert.equal(old.requests, 0);
    assert.equal(judgement.verdict, 'good');
    assert.match(judgement.rows.find(({ signal }) => signal === 'latency')?.old ?? '', /had less to do$/);
  });

  it('tells ends, illness and connections that wait', () => {
    const watched = beside();
    watched.stage();
    watched.second();
    watched.watch.ended(watched.upgrade, 'new', 'asked', watched.now);
    watched.second();
    assert.deepEqual([watched.last.new.deaths, watched.last.new.restarts], [0, 0]);
    watched.queued = { old: 0, new: 3 };
    watched.watch.ended(watched.upgrade, 'new', 'died', watched.now);
    watched.watch.ended(watched.upgrade, 'old', 'ill', watched.now);
    watched.second();
    const { old, new: is, judgement } = watched.last;
    assert.deepEqual([is.deaths, is.restarts, is.queued, old.deaths, old.restarts], [1, 1, 3, 0, 1]);
    assert.equal(judgement.reason?.signal, 'deaths');
  });

  it('says that nothing is known of a program without a page, and forgets an upgrade that is over', () => {
    const watched = new Watched();
    watched.hasPage = false;
    watched.add('old', 'old', 1000);
    watched.add('new', 'new', 1000);
    watched.stage();
    watched.second();
    watched.second();
    assert.deepEqual([watched.last.new.requests, watched.last.new.source], [undefined, undefined]);
    const count = watched.judged.length;
    watched.watch.turn([], watched.now);
    watched.second();
    assert.equal(watched.judged.length, count, 'a new watch begins with its first second');
  });

  it('believes metrics where they are declared, asks for them each second, and takes times from a histogram', () => {
    const watched = new Watched();
    watched.metrics = { port: 9090, path: '/metrics', requests: 'r', errors: 'e', latency: 's' };
    watched.add('old', 'old', 1000);
    watched.add('new', 'new', watched.now);
    watched.stage();
    const counted = { old: { requests: 5000, errors: 0, slow: 0 }, new: { requests: 0, errors: 0, slow: 0 } };
    const tell = () => {
      for (const unit of ['old', 'new'] as const) {
        const { requests, errors, slow } = counted[unit];
        const upTo = [0.01, 0.1].map((bound, at) => ({ bound, count: requests - (at === 0 ? slow : 0) }));
        watched.watch.told(watched.upgrade, unit, { requests, errors, times: { all: requests, upTo } }, watched.now);
      }
    };
    tell();
    for (let second = 0; second < 9; second++)
      watched.second(() => {
        // The page of the new side claims what its metrics do not.
        watched.answer('new', 1000);
        counted.old.requests += 20;
        counted.new.requests += 20;
        counted.new.slow += 20;
        tell();
      });
    const { judgement, new: is, old } = watched.last;
    assert.deepEqual([is.source, is.requests, old.requests, is.errors], ['metrics', 180, 180, 0]);
    assert.ok(Math.abs((is.latency?.medianMs ?? 0) - 55) < 5, `${is.latency?.medianMs}`);
    assert.equal(judgement.reason?.signal, 'latency');
    assert.deepEqual(watched.asked.slice(-2), ['old', 'new']);
    counted.new.requests = 3;
    counted.new.slow = 0;
    watched.second(tell);
    assert.equal(watched.last.new.requests, 180, 'counts that went back are begun anew');
  });

  it('does not say that no answer was bad when nobody says which were', () => {
    const watched = new Watched();
    watched.metrics = { port: 9090, path: '/metrics', latency: 's' };
    watched.hasPage = false;
    watched.add('new', 'new', watched.now);
    watched.stage();
    watched.second();
    watched.second(() => {
      const times = { all: 70, upTo: [{ bound: 1, count: 70 }] };
      watched.watch.told(watched.upgrade, 'new', { requests: undefined, errors: undefined, times }, watched.now);
    });
    const { judgement, new: is } = watched.last;
    assert.deepEqual([is.requests, is.errors, judgement.verdict], [70, undefined, 'good']);
    const row = judgement.rows.find(({ signal }) => signal === 'errors');
    assert.deepEqual([row?.new, row?.enough], ['unknown', false]);
  });

  it('finds a leak of a megabyte a second within an upgrade, and none where a collector gives back what it took', () => {
    const leaks = (rate: number, seed: number, memoryMax: number | 'infinity'): boolean => {
      const random = chance(seed);
      const watched = new Watched();
      watched.memoryMax = memoryMax;
      watched.add('old', 'old', 1000);
      watched.add('new', 'new', watched.now);
      watched.stage();
      for (let second = 1; second <= 30; second++) {
        // Warming up by 30 MiB, a collector's saw teeth of 6 MiB in five seconds, and noise.
        const warm = 30 * (1 - Math.exp(-second / 3));
        const teeth = (second % 5) * 1.2;
        for (const [unit, grown] of [
          ['old', teeth],
          ['new', warm + teeth + rate * second],
        ] as const) {
          const said = watched.said.get(unit);
          if (said !== undefined) said.ownBytes = (50 + grown + random()) * MIB;
        }
        watched.second();
        if (watched.judged.at(-1)?.judgement.reason?.signal === 'memory') return true;
      }
      return false;
    };
    for (const memoryMax of [256 * MIB, 'infinity'] as const) {
      const [leaking, sound] = [200, tries(500)];
      const found = Array.from({ length: leaking }, (_, seed) => leaks(1, seed, memoryMax)).filter(Boolean).length;
      const wrong = Array.from({ length: sound }, (_, seed) => leaks(0, seed, memoryMax)).filter(Boolean).length;
      const text = `found ${found} of ${leaking}, without one ${wrong} of ${sound}`;
      console.log(`      limit ${memoryMax}: a leak of 1 MiB a second ${text}`);
      assert.ok(found >= 0.9 * leaking && wrong <= 1, text);
    }
  }).timeout(60_000);
});
