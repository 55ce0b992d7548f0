import assert from 'node:assert/strict';
import { type Judgement, judgeTrial, signalsOf } from '../../../src/diagnose/judge.ts';
import {
  type Answers,
  type BothSides,
  beginTrial,
  NO_ANSWERS,
  NO_USE,
  nextTrial,
  type SideLook,
  withLook,
} from '../../../src/diagnose/trial.ts';
import { tries } from '../../support/thorough.ts';
import { bake, type Conduct, chance, IDLE, lognormal, second, TERMS, upgrade, used } from './judged-upgrade.ts';

const GOOD: Conduct = { errors: 0.005, duration: lognormal(5) };
const BUSY = { ...second(GOOD, 20, chance(1), 0), errors: 0 };
const MIB = 1024 ** 2;

/** The judgement after so many looks, each a second after the one before. */
function judged(looks: readonly BothSides<SideLook>[], terms = TERMS, earlier = NO_ANSWERS): Judgement {
  let trial = beginTrial(0, earlier);
  looks.forEach((look, index) => {
    trial = withLook(trial, { ...look, at: 1000 * (index + 1), host: NO_USE }, terms.samples);
  });
  return judgeTrial(trial, terms, 10_000);
}

function times(count: number, look: (second: number) => BothSides<SideLook>): BothSides<SideLook>[] {
  return Array.from({ length: count }, (_, index) => look(index));
}

function rowOf({ rows }: Judgement, signal: string) {
  const row = rows.find((one) => one.signal === signal);
  assert.ok(row !== undefined, signal);
  return row;
}

describe('the judge of an upgrade', () => {
  it('finds nothing wrong with sides that are alike, and says what it has seen', () => {
    const judgement = judged(times(10, () => ({ old: BUSY, new: BUSY })));
    assert.deepEqual([judgement.verdict, judgement.reason, judgement.watchedMs], ['good', undefined, 10_000]);
    assert.deepEqual(rowOf(judgement, 'errors'), {
      signal: 'errors',
      old: '0.0 % of 200',
      new: '0.0 % of 200',
      bound: '1 points more',
      enough: true,
      bad: false,
    });
  });

  it('says how few requests it has seen, and that nobody says how many there were', () => {
    const few = judged(times(6, () => ({ old: BUSY, new: { ...BUSY, requests: 2 } })));
    assert.equal(few.verdict, 'few');
    assert.deepEqual(few.reason, {
      signal: 'requests',
      text: 'requests: 12 of 50; the old side: 120; borne: 50 or more',
    });
    const silent = { ...IDLE, requests: undefined, errors: undefined, source: undefined };
    const unknown = judged(times(10, () => ({ old: BUSY, new: silent })));
    assert.deepEqual([unknown.verdict, rowOf(unknown, 'requests').new], ['few', 'unknown']);
  });

  it('blames the new side for a death at once, not for one that is borne, nor for one of the old side', () => {
    const died = { ...BUSY, deaths: 1 };
    assert.equal(judged([{ old: BUSY, new: died }]).reason?.signal, 'deaths');
    assert.equal(judged([{ old: BUSY, new: { ...BUSY, ill: 1 } }]).reason?.signal, 'ill');
    assert.notEqual(judged([{ old: BUSY, new: died }], { ...TERMS, deaths: 1 }).verdict, 'bad');
    assert.notEqual(judged([{ old: died, new: BUSY }]).verdict, 'bad');
  });

  it('blames answers that are all bad after some of them, long before there are enough for a good word', () => {
    const wrong = { ...BUSY, requests: 4, errors: 4 };
    const twice = judged(times(2, () => ({ old: BUSY, new: wrong })));
    assert.equal(twice.verdict, 'few', 'eight requests blame nobody');
    const thrice = judged(times(3, () => ({ old: BUSY, new: wrong })));
    assert.equal(thrice.reason?.text, 'errors: 100.0 % of 12; the old side: 0.0 % of 60; borne: 1 points more');
    assert.notEqual(judged(times(3, () => ({ old: wrong, new: wrong }))).verdict, 'bad', 'both sides alike');
    const burst = { ...BUSY, requests: 200, errors: 12 };
    const once = times(6, (at) => ({ old: BUSY, new: at === 2 ? burst : BUSY }));
    assert.notEqual(judged(once).verdict, 'bad', 'all in one second');
  });

  it('blames a side that answers more than every second request badly, though the old side says nothing', () => {
    const silent = { ...IDLE, requests: undefined, errors: undefined, source: undefined };
    const half = times(6, () => ({ old: silent, new: { ...BUSY, errors: 8 } }));
    assert.notEqual(judged(half).verdict, 'bad');
    assert.equal(judged(times(6, () => ({ old: silent, new: { ...BUSY, errors: 20 } }))).reason?.signal, 'errors');
  });

  it('blames one that has work and answers nothing, and one in whose queue more and more wait', () => {
    const stuck = (at: number) => ({ ...IDLE, inHand: 1, agesMs: [1000 * (at + 1)] });
    const hangs = judged(times(4, (at) => ({ old: BUSY, new: stuck(at) })));
    assert.equal(hangs.reason?.signal, 'stalled');
    const slowToo = { ...BUSY, durations: [...BUSY.durations, 20_000] };
    assert.notEqual(judged(times(4, (at) => ({ old: slowToo, new: stuck(at) }))).verdict, 'bad');
    const notTaken = judged(times(4, () => ({ old: BUSY, new: { ...IDLE, queued: 2 } })));
    assert.equal(notTaken.reason?.signal, 'stalled');
    const queue = judged(times(3, () => ({ old: { ...BUSY, queued: 3 }, new: { ...BUSY, queued: 30 } })));
    assert.equal(queue.reason?.text, 'queue: 30 waiting; the old side: 3 waiting; borne: 20 waiting');
    const both = { ...BUSY, queued: 30 };
    assert.notEqual(judged(times(4, () => ({ old: both, new: both }))).verdict, 'bad');
  });

  it('blames one that has taken all of the clients and answers none, by how the old side was before', () => {
    const hung = (ms: number, count: number) => ({ ...IDLE, inHand: count, agesMs: Array(count).fill(ms) });
    const before = { requests: 200, errors: 0, durations: [...Array(199).fill(5), 20_000] };
    const seen = (count: number, old: SideLook = IDLE, earlier: Answers = before) =>
      judged(
        times(5, (at) => ({ old, new: hung(1000 * (at + 1), count) })),
        TERMS,
        earlier,
      );
    const stalled = seen(4);
    assert.equal(stalled.reason?.signal, 'stalled');
    assert.match(stalled.reason?.text ?? '', /^stalled: 4 in hand, the oldest for 5\.0 s; .*an answer within 1\.0 s$/);
    assert.notEqual(seen(1).verdict, 'bad', 'one may be as slow as the slowest');
    assert.notEqual(seen(4, IDLE, NO_ANSWERS).verdict, 'bad', 'nothing is known of what an answer takes');
    const busy = { ...before, durations: [...Array(160).fill(5), ...Array(40).fill(20_000)] };
    assert.notEqual(seen(4, IDLE, busy).verdict, 'bad', 'many may');
    // It began within the step, and is not answered there, either: something that both need is away.
    const too = times(5, (at) => ({ old: hung(1000 * (at + 1), 1), new: hung(1000 * (at + 1), 4) }));
    assert.notEqual(judged(too, TERMS, before).verdict, 'bad');
    assert.equal(seen(4, hung(600_000, 1)).reason?.signal, 'stalled', 'what was open for long before says nothing');
    const some = times(5, (at) => ({ old: IDLE, new: { ...hung(1000 * (at + 1), 4), requests: 2 } }));
    assert.notEqual(judged(some, TERMS, before).verdict, 'bad', 'others are answered beside them');
  });

  it('blames one that is not ready and stays so, unless the old side is not, either', () => {
    const unready = { ...BUSY, unready: 1 };
    assert.equal(judged(times(2, () => ({ old: BUSY, new: unready }))).verdict, 'few');
    assert.equal(judged(times(3, () => ({ old: BUSY, new: unready }))).reason?.signal, 'unready');
    assert.notEqual(judged(times(5, () => ({ old: unready, new: unready }))).verdict, 'bad');
  });

  it('measures growth by the room for it, beyond that of the old side', () => {
    const grows = (mib: number) => ({ ...BUSY, memoryPerMinute: mib * MIB, memoryRoom: 256 * MIB });
    const leaks = judged([{ old: grows(0), new: grows(60) }]);
    assert.equal(
      leaks.reason?.text,
      'memory: 100M, +60M a minute; the old side: 100M, +0B a minute; borne: 51.2M more a minute',
    );
    assert.notEqual(judged([{ old: grows(20), new: grows(60) }]).verdict, 'bad');
    assert.notEqual(judged([{ old: grows(0), new: grows(50) }]).verdict, 'bad');
    const unlimited = { ...TERMS, memory: 'infinity' as const };
    assert.notEqual(judged([{ old: grows(0), new: grows(900) }], unlimited).verdict, 'bad');
  });

  it('bears whatever it is told to bear', () => {
    const any = { ...TERMS, errors: 'infinity', latency: 'infinity' } as const;
    const slow = { ...BUSY, errors: 20, durations: BUSY.durations.map((ms) => 100 * ms) };
    const judgement = judged(
      times(10, () => ({ old: BUSY, new: slow })),
      any,
    );
    assert.equal(judgement.verdict, 'good');
    assert.deepEqual([rowOf(judgement, 'errors').bound, rowOf(judgement, 'latency').bound], ['any', 'any']);
  });

  it('compares with how the old side was before, once it gets nothing any more', () => {
    const { durations } = second(GOOD, 100, chance(3), 0);
    const earlier = { requests: 500, errors: 0, durations };
    const alone = (conduct: Conduct) =>
      judged(
        times(10, (at) => ({ old: IDLE, new: second(conduct, 50, chance(at), at) })),
        TERMS,
        earlier,
      );
    assert.equal(alone({ errors: 0.05, duration: lognormal(5) }).reason?.signal, 'errors');
    assert.equal(alone({ errors: 0, duration: lognormal(50) }).reason?.signal, 'latency');
    assert.equal(alone({ errors: 0, duration: lognormal(8) }).verdict, 'good', 'the host may be busier than it was');
    assert.match(rowOf(alone({ errors: 0, duration: lognormal(5) }), 'errors').old, /^0\.0 % of 500 before$/);
  });

  it('does not hold its times against what was before when others have more to do on the host since then', () => {
    const last = (others: number, conduct: Conduct) => {
      const random = chance(11);
      const first = bake({ old: GOOD, new: GOOD }, { weight: 50, bakeMs: 10_000, perSecond: 60 }, random, undefined);
      const alone = { weight: 100, bakeMs: 10_000, perSecond: 60, others };
      return bake({ old: GOOD, new: conduct }, alone, random, first.trial).judgement;
    };
    const slow: Conduct = { errors: 0, duration: lognormal(60) };
    assert.match(last(0.25, slow).reason?.signal ?? '', /^(latency|tail)$/, 'as busy as before');
    const busy = last(0.9, slow);
    assert.equal(busy.verdict, 'good');
    assert.deepEqual([rowOf(busy, 'latency').enough, rowOf(busy, 'tail').enough], [false, false]);
    assert.match(rowOf(busy, 'latency').old, /before, when the host had less to do$/);
    assert.equal(last(0.9, { ...slow, errors: 0.3 }).reason?.signal, 'errors', 'what is wrong is wrong');
  });

  it('holds a queue against what waited at the old side before, once that gets nothing, and not when the host is busier', () => {
    const inLastStep = (waitedBefore: number, others: number) => {
      let trial = beginTrial(0, NO_ANSWERS);
      const before = { old: { ...BUSY, queued: waitedBefore }, new: BUSY, host: used(0.2) };
      for (const at of [1000, 2000, 3000]) trial = withLook(trial, { at, ...before }, 50);
      trial = nextTrial(3000, trial);
      const now = { old: IDLE, new: { ...BUSY, queued: 30 }, host: used(others) };
      for (const at of [4000, 5000, 6000]) trial = withLook(trial, { at, ...now }, 50);
      return judgeTrial(trial, TERMS, 10_000);
    };
    assert.equal(inLastStep(0, 0.2).reason?.text, 'queue: 30 waiting; the old side: 0 waiting; borne: 8 waiting');
    assert.equal(inLastStep(6, 0.2).verdict, 'good');
    assert.deepEqual([inLastStep(0, 0.9).verdict, rowOf(inLastStep(0, 0.9), 'queue').enough], ['good', false]);
  });

  it('remembers how busy the host was in all steps before', () => {
    let trial = beginTrial(0, NO_ANSWERS);
    for (const [at, share] of [
      [1000, 0.2],
      [2000, 0.4],
    ] as const) {
      trial = withLook(trial, { at, old: BUSY, new: BUSY, host: used(share) }, 50);
      trial = nextTrial(at, trial);
    }
    assert.deepEqual(trial.earlierHost, { othersMs: 1200, ofMs: 4000 });
  });

  it('tells both sides as they are shown', () => {
    const trial = withLook(beginTrial(0, NO_ANSWERS), { at: 1000, old: BUSY, new: IDLE, host: NO_USE }, 50);
    const shown = signalsOf(trial);
    assert.deepEqual([shown?.old.requests, shown?.old.latency?.known, shown?.new.latency], [20, 20, undefined]);
    assert.equal(signalsOf(beginTrial(0, NO_ANSWERS)), undefined);
  });
});

describe('the judge of an upgrade, by chance', () => {
  /** How many of so many upgrades were undone, and how many requests the new side had until then, half of them fewer. */
  function undone(
    sides: BothSides<Conduct>,
    perSecond: number,
    count: number,
    every = 1,
  ): { share: number; requests: number } {
    const blamed = Array.from({ length: count }, (_, seed) => upgrade(sides, perSecond, chance(seed * 7919), every))
      .filter((made) => made.blamed !== undefined)
      .map(({ requests }) => requests)
      .sort((one, other) => one - other);
    return { share: blamed.length / count, requests: blamed[Math.floor(blamed.length / 2)] ?? 0 };
  }

  function told(what: string, { share, requests }: { share: number; requests: number }): void {
    const until = share === 0 ? '' : `, after ${requests} of its requests`;
    console.log(`      ${what}: undone ${(100 * share).toFixed(2)} %${until}`);
  }

  it('undoes fewer than one of a thousand upgrades to something that is just as good', () => {
    const count = tries(10_000);
    const alike = undone({ old: GOOD, new: GOOD }, 8, count, 2);
    told(`alike, ${count} times, 8 requests a second`, alike);
    assert.ok(alike.share < 0.001);
    const poor = { errors: 0.1, duration: lognormal(5, 1.2) };
    const poorly = undone({ old: poor, new: poor }, 20, tries(200));
    told('alike with 10 % errors and long tails, 20 requests a second', poorly);
    assert.ok(poorly.share < 0.005);
  }).timeout(300_000);

  it('undoes what is ten times slower, what answers 5 % badly, and what answers nothing well', () => {
    for (const [what, conduct, perSecond] of [
      ['ten times slower, 20 requests a second', { ...GOOD, duration: lognormal(50) }, 20],
      ['5 % bad answers more, 100 requests a second', { ...GOOD, errors: 0.055 }, 100],
      ['nothing but bad answers, 20 requests a second', { ...GOOD, errors: 1 }, 20],
    ] as const) {
      const found = undone({ old: GOOD, new: conduct }, perSecond, tries(100));
      told(what, found);
      assert.ok(found.share >= 0.98, what);
    }
  }).timeout(300_000);

  it('sees a few very slow requests among many that are as ever', () => {
    const duration: Conduct['duration'] = (random, at) => (random() < 0.06 ? 200 : lognormal(5)(random, at));
    const found = undone({ old: GOOD, new: { ...GOOD, duration } }, 200, tries(50));
    told('6 % of requests forty times slower, 200 requests a second', found);
    assert.ok(found.share >= 0.9);
  }).timeout(300_000);

  it('blames nobody for a neighbour that slows both sides down, nor for a single pause of one', () => {
    const slowed: Conduct = { errors: 0, duration: (random, at) => lognormal(at > 4000 ? 60 : 5)(random, at) };
    const both = undone({ old: slowed, new: slowed }, 60, tries(200));
    told('both sides twelve times slower from the fifth second of a step on', both);
    assert.equal(both.share, 0);
    const paused: Conduct = { errors: 0, duration: (random, at) => (at === 5000 ? 900 : lognormal(5)(random, at)) };
    const pauses = undone({ old: GOOD, new: paused }, 60, tries(200));
    told('one pause of a second in each step', pauses);
    assert.equal(pauses.share, 0);
  }).timeout(300_000);

  it('watches for long without blaming what is alike', () => {
    const day = bake(
      { old: GOOD, new: GOOD },
      { weight: 50, bakeMs: tries(4_000_000), perSecond: 6 },
      chance(5),
      undefined,
    );
    assert.notEqual(day.judgement.verdict, 'bad');
    assert.ok(day.trial.stretches.length <= 60);
  }).timeout(300_000);
});
