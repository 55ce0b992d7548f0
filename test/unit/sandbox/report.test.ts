import assert from 'node:assert/strict';
import { parseReport } from '../../../src/sandbox/report.ts';

describe('a report of a forbidden call', () => {
  const good = { event: 'forbidden', call: 'ptrace', number: 101, pid: 7, tid: 9 };

  it('is taken with its name, process and thread', () => {
    assert.deepEqual(parseReport(JSON.stringify(good)), { event: 'forbidden', call: 'ptrace', pid: 7, tid: 9 });
    for (const call of ['x32:39', '32-bit:20', '-1', '999', 'unknown', '_sysctl'])
      assert.equal(parseReport(JSON.stringify({ ...good, call }))?.event, 'forbidden', call);
  });

  it('is refused when it could not be one of init', () => {
    const bad: object[] = [
      { call: undefined },
      { call: '' },
      { call: 'a'.repeat(65) },
      { call: 'ptrace\n' },
      { call: 'PTRACE' },
      { call: "x' (134)" },
      { call: 101 },
      { pid: -1 },
      { pid: 4_194_305 },
      { tid: '9' },
      { tid: 1.5 },
    ];
    for (const wrong of bad)
      assert.equal(parseReport(JSON.stringify({ ...good, ...wrong })), undefined, JSON.stringify(wrong));
  });
});

describe('a report of a helper that was lost', () => {
  it('is taken for those that there are', () => {
    for (const helper of ['egress', 'adapter', 'prober'])
      assert.deepEqual(parseReport(JSON.stringify({ event: 'helper-lost', helper })), { event: 'helper-lost', helper });
    for (const helper of [undefined, '', 'init', 7, ['egress']])
      assert.equal(parseReport(JSON.stringify({ event: 'helper-lost', helper })), undefined);
  });
});

describe('a report of the gate', () => {
  it('is taken for the states that there are', () => {
    for (const gate of ['open', 'held', 'shut'])
      assert.deepEqual(parseReport(JSON.stringify({ event: 'gate', gate })), { event: 'gate', gate });
    for (const gate of [undefined, '', 'OPEN', 0, ['open']])
      assert.equal(parseReport(JSON.stringify({ event: 'gate', gate })), undefined);
  });
});

describe('a report of a probe', () => {
  const good = { event: 'probe', probe: 'liveness', passes: false, asked: true, text: 'HTTP status 503' };

  it('is taken with its words, made printable', () => {
    assert.deepEqual(parseReport(JSON.stringify(good)), good);
    assert.deepEqual(parseReport(JSON.stringify({ ...good, text: 'a\u202eb' })), { ...good, text: 'a?b' });
  });

  it('is refused when it is about nothing, or says nothing', () => {
    for (const wrong of [{ probe: 'other' }, { passes: 'true' }, { asked: undefined }, { text: 7 }])
      assert.equal(parseReport(JSON.stringify({ ...good, ...wrong })), undefined, JSON.stringify(wrong));
  });
});

describe('a report of an end', () => {
  it('says whether somebody was left behind, if init looked', () => {
    const exit = { event: 'exit', how: 'exited', status: 3 };
    assert.deepEqual(parseReport(JSON.stringify(exit)), exit);
    assert.deepEqual(parseReport(JSON.stringify({ ...exit, childrenLeft: true })), { ...exit, childrenLeft: true });
    assert.deepEqual(parseReport(JSON.stringify({ ...exit, childrenLeft: 'yes' })), exit);
  });

  it('has the figures of a program within their bounds', () => {
    const told = {
      event: 'metrics',
      requests: 42,
      errors: null,
      all: 42,
      buckets: [
        [0.001, 5],
        [0.01, 21],
      ],
    };
    assert.deepEqual(parseReport(JSON.stringify(told)), {
      event: 'metrics',
      error: undefined,
      requests: 42,
      errors: undefined,
      times: {
        all: 42,
        upTo: [
          { bound: 0.001, count: 5 },
          { bound: 0.01, count: 21 },
        ],
      },
    });
    const failed = parseReport(JSON.stringify({ event: 'metrics', error: 'HTTP status 404' }));
    assert.deepEqual(failed, { event: 'metrics', error: 'HTTP status 404' });
    for (const wrong of [
      { requests: -1 },
      { requests: 1.5 },
      { requests: '42' },
      { all: 2 ** 54 },
      {
        buckets: [
          [0.01, 1],
          [0.01, 2],
        ],
      },
      {
        buckets: [
          [0.02, 1],
          [0.01, 2],
        ],
      },
      { buckets: [['0.01', 1]] },
      { buckets: [[0.01, 1, 2]] },
      { buckets: Array.from({ length: 25 }, (_, at) => [at, 1]) },
      { buckets: {} },
    ])
      assert.equal(parseReport(JSON.stringify({ ...told, ...wrong })), undefined, JSON.stringify(wrong));
  });
});
