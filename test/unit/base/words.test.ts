import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatBytes, parseBytes } from '../../../src/base/bytes.ts';
import { formatDuration, LONGEST_MS, parseDuration } from '../../../src/base/duration.ts';
import { asFailure, FAILURES, Failure } from '../../../src/base/failure.ts';
import { nearest } from '../../../src/base/nearest.ts';
import { Owner, owned } from '../../../src/base/owner.ts';
import { formatProblem } from '../../../src/base/problem.ts';

describe('bytes', () => {
  it('reads sizes', () => {
    const sizes = {
      '0': 0,
      '512': 512,
      '1K': 1024,
      '1.5G': 1_610_612_736,
      '64M': 67_108_864,
      '2T': 2_199_023_255_552,
      '3B': 3,
    };
    for (const [text, bytes] of Object.entries(sizes)) assert.equal(parseBytes(text), bytes, text);
    for (const text of ['', 'G', '-1', '1k', '1 GB', '1e3', '0x10', '99999999T', '1..5G'])
      assert.equal(parseBytes(text), undefined, text);
  });

  it('shows whole sizes so that they read back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1024 }), fc.constantFrom('', 'K', 'M', 'G'), (count, unit) => {
        const bytes = parseBytes(`${count}${unit}`) ?? -1;
        assert.equal(parseBytes(formatBytes(bytes)), bytes);
      }),
    );
  });
});

describe('durations', () => {
  it('reads them', () => {
    const times = {
      '30': 30_000,
      '500ms': 500,
      '1min 30s': 90_000,
      '2h': 7_200_000,
      '0': 0,
      '0.25': 250,
      '1d': 86_400_000,
    };
    for (const [text, ms] of Object.entries(times)) assert.equal(parseDuration(text), ms, text);
    for (const text of ['', '-1s', '1 week', 's', '366d', '1m1']) assert.equal(parseDuration(text), undefined, text);
  });

  it('shows them so that they read back, to the millisecond below a minute', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 59_999 }), (ms) => assert.equal(parseDuration(formatDuration(ms)), ms)),
    );
    fc.assert(
      fc.property(fc.integer({ min: 60, max: LONGEST_MS / 1000 }), (s) =>
        assert.equal(parseDuration(formatDuration(s * 1000)), s * 1000),
      ),
    );
  });

  it('does not take long over a hostile text', () => {
    const begin = performance.now();
    assert.equal(parseDuration(`${'1s'.repeat(20_000)}!`), undefined);
    assert.ok(performance.now() - begin < 1000);
  });
});

describe('nearest', () => {
  it('finds what was meant', () => {
    assert.equal(nearest('memroy', ['cpu', 'memory']), 'memory');
    assert.equal(nearest('Listen', ['listen']), 'listen');
    assert.equal(nearest('xyz', ['memory', 'cpu']), undefined);
    assert.equal(nearest('SYS', ['NET'], 2), undefined);
    assert.equal(nearest('x'.repeat(100_000), ['memory']), undefined);
  });
});

describe('failures', () => {
  it('have a summary and an advice, without a full stop', () => {
    for (const [code, { summary, advice }] of Object.entries(FAILURES)) {
      assert.match(code, /^BH[1-6]\d\d$/);
      assert.match(summary, /[^.]$/, code);
      assert.match(advice, /[^.]$/, code);
    }
  });

  it('carry strangers as BH406', () => {
    const failure = new Failure('BH108', 'x');
    assert.equal(asFailure(failure), failure);
    assert.equal(asFailure(new TypeError('boom')).code, 'BH406');
    assert.equal(asFailure('text').message, 'text');
    assert.equal(failure.line, 'BH108 no declaration for this plugin: x');
  });

  it('are shown with their place', () => {
    const place = { file: 'a.yaml', line: 3, column: 5 };
    assert.equal(formatProblem({ code: 'BH102', place, message: 'm', hint: 'h' }), 'a.yaml:3:5: BH102 m (h)');
    assert.equal(formatProblem({ code: 'BH102', place, message: 'm' }), 'a.yaml:3:5: BH102 m');
  });
});

describe('Owner', () => {
  it('releases everything once, newest first', () => {
    const released: string[] = [];
    const owner = new Owner('test');
    owner.own(owned(() => released.push('a')));
    const second = owner.own(owned(() => released.push('b')));
    owner.own(owned(() => released.push('c')));
    owner.drop(second);
    owner.drop(second);
    assert.ok(Owner.living().includes('test (2)'));
    owner.release();
    owner.release();
    assert.deepEqual(released, ['b', 'c', 'a']);
    assert.equal(
      Owner.living().some((name) => name.startsWith('test ')),
      false,
    );
  });

  it('releases at once what comes too late', () => {
    const owner = new Owner('late');
    owner.release();
    let released = false;
    owner.own(
      owned(() => {
        released = true;
      }),
    );
    assert.ok(released && owner.released);
  });
});
