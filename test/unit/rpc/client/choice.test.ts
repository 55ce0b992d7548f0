import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Candidate, Choice } from '../../../../src/rpc/client/choice.ts';
import { mayRepeat, RetryBudget } from '../../../../src/rpc/client/retry.ts';

interface Named extends Candidate {
  readonly name: string;
}

function candidate(name: string, more: Partial<Candidate> = {}): Named {
  return { name, slot: 'a', weight: 100, score: 100, outstanding: 0, ...more };
}

const anybody = (): boolean => true;

/** The given numbers, again and again. */
function numbers(...list: number[]): () => number {
  let at = 0;
  return () => list[at++ % list.length] ?? 0;
}

describe('rpc client: the choice of a sandbox', () => {
  it('is nobody of nobody', () => {
    assert.equal(new Choice<Named>([]).pick(anybody, Math.random), undefined);
  });

  it('is the one of two with less to do', () => {
    const choice = new Choice([candidate('busy', { outstanding: 5 }), candidate('idle', { outstanding: 1 })]);
    for (const number of [0, 0.3, 0.7, 0.99]) assert.equal(choice.pick(anybody, numbers(number))?.name, 'idle');
  });

  it('lets one of half the health have half as much to do', () => {
    const well = candidate('well', { outstanding: 8 });
    assert.equal(
      new Choice([well, candidate('ill', { score: 50, outstanding: 3 })]).pick(anybody, () => 0)?.name,
      'ill',
    );
    assert.equal(
      new Choice([well, candidate('ill', { score: 50, outstanding: 4 })]).pick(anybody, () => 0)?.name,
      'well',
    );
  });

  it('is the slot by its weight, however many are in it', () => {
    const live = [1, 2, 3].map((each) => candidate(`a${each}`, { weight: 95 }));
    const choice = new Choice([...live, candidate('b1', { slot: 'b', weight: 5 })]);
    assert.equal(choice.pick(anybody, numbers(0.949))?.slot, 'a');
    assert.equal(choice.pick(anybody, numbers(0.951))?.slot, 'b');
  });

  it('is of the other slot when nobody of the first can be had, unless that is to get nothing', () => {
    const one = candidate('one', { weight: 60 });
    const other = candidate('other', { slot: 'b', weight: 40 });
    const notOne = ({ name }: Named): boolean => name !== 'one';
    assert.equal(new Choice([one, other]).pick(notOne, () => 0)?.name, 'other');
    const onTrial = { ...other, weight: 0 };
    assert.equal(
      new Choice([one, onTrial]).pick(notOne, () => 0),
      undefined,
    );
  });

  it('is always somebody who can be had, if there is one with weight', () => {
    const some = fc.record({
      name: fc.string(),
      slot: fc.constantFrom('a', 'b'),
      weight: fc.constantFrom(50, 100),
      score: fc.integer({ min: 0, max: 100 }),
      outstanding: fc.nat(1000),
    });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(some, fc.boolean())),
        fc.array(fc.double({ min: 0, max: 0.999 }), { minLength: 1 }),
        (list, random) => {
          const usable = new Set(list.filter(([, is]) => is).map(([one]) => one));
          const found = new Choice(list.map(([one]) => one)).pick((one) => usable.has(one), numbers(...random));
          return found === undefined ? usable.size === 0 : usable.has(found);
        },
      ),
    );
  });
});

describe('rpc client: a call that failed', () => {
  const rules = { idempotent: false, retries: 2 };

  it('is repeated elsewhere when it has not begun, or does no harm twice', () => {
    assert.equal(mayRepeat({ begun: 'no', elsewhere: true, attempts: 1 }, rules), true);
    assert.equal(mayRepeat({ begun: 'unknown', elsewhere: true, attempts: 1 }, rules), false);
    assert.equal(mayRepeat({ begun: 'unknown', elsewhere: true, attempts: 1 }, { ...rules, idempotent: true }), true);
  });

  it('is not repeated for its own fault, nor more often than agreed', () => {
    assert.equal(mayRepeat({ begun: 'no', elsewhere: false, attempts: 1 }, rules), false);
    assert.equal(mayRepeat({ begun: 'no', elsewhere: true, attempts: 2 }, rules), true);
    assert.equal(mayRepeat({ begun: 'no', elsewhere: true, attempts: 3 }, rules), false);
  });

  it('is not repeated when nearly all fail: what goes well pays for it', () => {
    const budget = new RetryBudget();
    let taken = 0;
    while (budget.take()) taken++;
    assert.equal(taken, 256);
    for (let call = 0; call < 50; call++) budget.succeeded();
    for (taken = 0; budget.take(); ) taken++;
    assert.ok(taken === 9 || taken === 10, `${taken} repeats for 50 good calls`);
  });
});
