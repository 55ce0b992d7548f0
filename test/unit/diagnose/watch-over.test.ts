import assert from 'node:assert/strict';
import { CALLS, type Conduct, IDLE, SPINS, TERMS, WatchedSandbox } from './watched-sandbox.ts';

/** A sandbox that was well for some time, with a request in hand since now, whose deadline is in five seconds. */
function busy(conduct: Conduct): WatchedSandbox {
  const sandbox = new WatchedSandbox().pass(10_000);
  sandbox.request();
  sandbox.conduct.set(2, conduct);
  return sandbox;
}

const BLOCKED: Conduct = { state: 'S', call: CALLS.pipe, target: 'a pipe' };

describe('a request that is overdue', () => {
  const cases: readonly (readonly [what: string, conduct: Conduct, told: string])[] = [
    ['in a thread that reads what nobody writes', BLOCKED, 'hang blocked'],
    ['in a thread that waits for a lock', { state: 'S', call: CALLS.futex }, 'deadlock futex'],
    [
      'in an uninterruptible call',
      { state: 'D', call: CALLS.write, target: '/var/lib/plugin/notes' },
      'hang uninterruptible',
    ],
    ['in a thread whose child never executes anything', { state: 'D', call: CALLS.vfork }, 'hang vfork'],
  ];
  for (const [what, conduct, told] of cases) {
    it(`${what} is '${told}', known within twice the heartbeat`, () => {
      const sandbox = busy(conduct);
      const deadline = sandbox.now + 5000;
      sandbox.ticking = false;
      sandbox.pass(20_000);
      assert.deepEqual(sandbox.told, [told]);
      const after = (sandbox.verdicts[0]?.at ?? 0) - deadline;
      assert.ok(after > 0 && after < 2 * TERMS.heartbeatMs, `${after} ms after the deadline`);
    });
  }

  it('is told in words, with its evidence, its trace, and all excuses', () => {
    const verdict = busy(BLOCKED).pass(7000).verdicts[0]?.verdict;
    assert.ok(verdict);
    assert.match(
      verdict.text,
      /^request 'embed' is [56](\.\d)?s old, overdue for .*s: its thread is blocked in read of a pipe$/,
    );
    assert.deepEqual(verdict.traceIds, ['0123456789abcdef0123456789abcdef']);
    assert.ok(verdict.confidence > 0.9);
    const facts = Object.fromEntries(verdict.evidence.map(({ what, value }) => [what, value]));
    assert.equal(facts['system call'], 'read');
    assert.equal(facts.on, 'a pipe');
    assert.equal(facts['sleeps in'], 'anon_pipe_read');
    assert.equal(verdict.excuses.length, 11);
    assert.deepEqual(
      verdict.excuses.filter(({ applies }) => applies),
      [],
    );
  });

  it('is told once a minute as long as it is so, and again when it was over', () => {
    const sandbox = busy(BLOCKED).pass(60_000);
    assert.deepEqual(sandbox.told, ['hang blocked']);
    assert.equal(busy(BLOCKED).pass(310_000).told.length, 6);
    sandbox.slots = [];
    sandbox.conduct.set(2, IDLE);
    sandbox.pass(5000);
    sandbox.request();
    sandbox.conduct.set(2, BLOCKED);
    sandbox.pass(60_000);
    assert.deepEqual(sandbox.told, ['hang blocked', 'hang blocked']);
  });

  it('without a deadline of its own is so after health.request-timeout', () => {
    const sandbox = busy(BLOCKED);
    sandbox.request({ index: 0, deadline: undefined });
    sandbox.ticking = false;
    sandbox.pass(29_900);
    assert.deepEqual(sandbox.told, []);
    sandbox.pass(2100);
    assert.deepEqual(sandbox.told, ['hang blocked']);
  });

  it('whose thread has ended is lost', () => {
    const sandbox = busy(IDLE);
    sandbox.request({ index: 0, tid: 7 });
    sandbox.pass(7000);
    assert.deepEqual(sandbox.told, ['hang lost-request']);
  });

  it('is not lost because its thread is one of too many to be searched', () => {
    const sandbox = busy(IDLE);
    sandbox.complete = false;
    sandbox.request({ index: 0, tid: 7 });
    sandbox.pass(60_000);
    assert.deepEqual(sandbox.told, []);
  });

  it('is no reason while its loop is alive; three of them are', () => {
    const sandbox = busy(IDLE).pass(60_000);
    assert.deepEqual(sandbox.told, []);
    for (const index of [1, 2]) sandbox.request({ index });
    sandbox.pass(60_000);
    assert.deepEqual(sandbox.told, ['hang lost-request']);
  });

  it('is waited for much longer when it said no deadline, and its loop is alive', () => {
    const sandbox = busy({ ...IDLE, run: 0.01 });
    for (const index of [0, 1, 2]) sandbox.request({ index, deadline: undefined });
    sandbox.pass(290_000);
    assert.deepEqual(sandbox.told, []);
    sandbox.pass(20_000);
    assert.deepEqual(sandbox.told, ['hang lost-request']);
  });

  it('is a reason when it was the only thread that ever served', () => {
    const sandbox = busy(IDLE);
    sandbox.conduct.set(3, { state: 'S', call: CALLS.poll });
    sandbox.request({ index: 0, tid: 3, done: 0 });
    sandbox.pass(9000);
    assert.deepEqual(sandbox.told, []);
    sandbox.pass(6000);
    assert.deepEqual(sandbox.told, ['hang lost-request']);
  });
});

describe('a thread on a CPU with a request that is overdue', () => {
  it("is a spin after health.spin of CPU time, in its own code or in the kernel's", () => {
    for (const [conduct, kind] of [
      [SPINS, 'user'],
      [{ ...SPINS, system: 0.95 }, 'kernel'],
    ] as const) {
      const sandbox = busy(conduct);
      sandbox.ticking = false;
      sandbox.pass(29_000);
      assert.deepEqual(sandbox.told, []);
      sandbox.pass(3000);
      assert.deepEqual(sandbox.told, [`spin ${kind}`]);
    }
  });

  it('is none as long as the request gets on, or has time left', () => {
    const sandbox = busy(SPINS);
    let progress = 1n;
    sandbox.pass(120_000, () => sandbox.request({ index: 0, startedAt: 1_010_000, progress: progress++ }));
    assert.deepEqual(sandbox.told, []);
    const patient = busy(SPINS);
    patient.request({ index: 0, deadline: patient.now + 300_000 });
    patient.pass(250_000);
    assert.deepEqual(patient.told, []);
  });

  it('is found on a host that is full, too, by the CPU time that it had', () => {
    const sandbox = busy({ state: 'R', run: 0.5, wait: 0.48 });
    sandbox.ticking = false;
    sandbox.pass(50_000);
    assert.deepEqual(sandbox.told, []);
    sandbox.pass(20_000);
    assert.deepEqual(sandbox.told, ['spin user']);
  });
});

describe('what only looks ill', () => {
  const innocent: readonly (readonly [what: string, conduct: Conduct, grow?: (sandbox: WatchedSandbox) => void])[] = [
    ['idle', IDLE],
    ['starved by the host', { state: 'R', run: 0.05, wait: 0.94 }],
    ['held by its CPU quota', { state: 'R', run: 0.05, wait: 0.94 }, (sandbox) => (sandbox.throttled += 5)],
    ['paging', { state: 'R', run: 0.3, faults: 3000 }],
    ['waiting for a page', { state: 'D', call: CALLS.fault }],
    ['waking up now and then', { state: 'S', call: CALLS.futexFor, run: 0.01 }],
    ['held by a debugger', { state: 't', call: CALLS.pipe }],
  ];
  for (const [what, conduct, grow] of innocent) {
    it(`${what}, is not judged, though a request is overdue`, () => {
      const sandbox = busy(conduct);
      sandbox.pass(300_000, () => grow?.(sandbox));
      assert.deepEqual(sandbox.told, []);
    });
  }

  it('a rightful wait for somebody else, with a deadline far away, is not judged', () => {
    const sandbox = busy(BLOCKED);
    sandbox.request({ index: 0, deadline: sandbox.now + 600_000 });
    sandbox.ticking = false;
    sandbox.pass(590_000);
    assert.deepEqual(sandbox.told, []);
  });

  it('a machine that stood still gives each request that time back', () => {
    const sandbox = busy(IDLE).pass(1000).standStill(60_000);
    sandbox.conduct.set(2, BLOCKED);
    sandbox.ticking = false;
    sandbox.pass(3500);
    assert.deepEqual(sandbox.told, []);
    sandbox.pass(3000);
    assert.deepEqual(sandbox.told, ['hang blocked']);
  });

  it('a host that is late again and again proves nothing, but a look in time does', () => {
    const sandbox = busy(BLOCKED);
    sandbox.ticking = false;
    sandbox.lateMs = 300;
    sandbox.pass(30_000);
    assert.deepEqual(sandbox.told, []);
    sandbox.lateMs = 0;
    sandbox.pass(30_000);
    assert.deepEqual(sandbox.told, ['hang blocked']);
  });

  it('starting up, is not judged', () => {
    const sandbox = busy(BLOCKED);
    sandbox.terms = { ...TERMS, starting: true };
    sandbox.pass(60_000);
    assert.deepEqual(sandbox.told, []);
  });
});

describe('a payload that somebody stopped or froze', () => {
  for (const [what, stop, told] of [
    ['stopped', (sandbox) => sandbox.conduct.set(2, { state: 'T', call: CALLS.pipe }), 'hang stopped'],
    ['frozen', (sandbox) => Object.assign(sandbox, { frozen: true }), 'hang frozen'],
  ] as readonly (readonly [string, (sandbox: WatchedSandbox) => unknown, string])[]) {
    it(`is left ${what} for health.stopped, and then is '${told}'`, () => {
      const sandbox = busy(IDLE);
      sandbox.ticking = false;
      stop(sandbox);
      sandbox.pass(59_000);
      assert.deepEqual(sandbox.told, []);
      sandbox.pass(3000);
      assert.deepEqual(sandbox.told, [told]);
    });
  }

  it('and let go on has all of its time still', () => {
    const sandbox = busy({ state: 'T', call: CALLS.epoll }).pass(50_000);
    sandbox.conduct.set(2, BLOCKED);
    sandbox.ticking = false;
    sandbox.pass(3000);
    assert.deepEqual(sandbox.told, []);
    sandbox.pass(5000);
    assert.deepEqual(sandbox.told, ['hang blocked']);
  });
});

describe('a main loop', () => {
  function silent(conduct: Conduct): WatchedSandbox {
    const sandbox = new WatchedSandbox().pass(10_000);
    sandbox.ticking = false;
    sandbox.conduct.set(2, conduct);
    return sandbox;
  }

  it('that does not come round any more is unresponsive after three heartbeats, asleep wherever it is', () => {
    for (const conduct of [IDLE, BLOCKED, { state: 'S', call: CALLS.futex }, { state: 'D', call: CALLS.write }]) {
      const sandbox = silent(conduct).pass(2500);
      assert.deepEqual(sandbox.told, []);
      sandbox.pass(2500);
      assert.deepEqual(sandbox.told, ['unresponsive silent-loop']);
      assert.match(sandbox.verdicts[0]?.verdict.text ?? '', /main loop has not come round for [34]/);
    }
  });

  it('on a CPU has as long as a spin has', () => {
    const sandbox = silent(SPINS).pass(28_000);
    assert.deepEqual(sandbox.told, []);
    sandbox.pass(5000);
    assert.deepEqual(sandbox.told, ['unresponsive silent-loop']);
  });

  it('that is starved, that never came round, or that gets no traffic, is not missed', () => {
    assert.deepEqual(silent({ state: 'R', run: 0.05, wait: 0.94 }).pass(60_000).told, []);
    const mute = new WatchedSandbox();
    mute.ticking = false;
    assert.deepEqual(mute.pass(60_000).told, []);
    const standby = silent(BLOCKED);
    standby.terms = { ...TERMS, withoutTraffic: true };
    assert.deepEqual(standby.pass(60_000).told, []);
  });

  it('of which requests are answered all the time is not missed', () => {
    const sandbox = silent(SPINS);
    let done = 0;
    sandbox.pass(120_000, () => sandbox.request({ index: 0, done: done++, sequence: done }));
    assert.deepEqual(sandbox.told, []);
  });
});

describe('a payload without an activity page', () => {
  function pageless(conduct: Conduct): WatchedSandbox {
    const sandbox = new WatchedSandbox();
    sandbox.hasPage = false;
    sandbox.conduct.set(2, conduct);
    return sandbox;
  }

  it('may wait and compute as long as it likes', () => {
    for (const conduct of [IDLE, BLOCKED, SPINS]) assert.deepEqual(pageless(conduct).pass(600_000).told, []);
  });

  it('that computes while its liveness probe fails is a spin', () => {
    const sandbox = pageless(SPINS);
    sandbox.terms = { ...TERMS, livenessFails: true };
    sandbox.pass(29_000);
    assert.deepEqual(sandbox.told, []);
    sandbox.pass(4000);
    assert.deepEqual(sandbox.told, ['spin user']);
  });

  it('is hung when its main thread is in one uninterruptible call for as long as a request may take', () => {
    const sandbox = pageless({ state: 'D', call: CALLS.write }).pass(28_000);
    assert.deepEqual(sandbox.told, []);
    sandbox.pass(6000);
    assert.deepEqual(sandbox.told, ['hang uninterruptible']);
  });
});

describe('greed', () => {
  it('is a fork bomb when forks are refused by the dozen at three looks in a row', () => {
    const sandbox = new WatchedSandbox().pass(3000);
    sandbox.pass(20_000, () => (sandbox.forksRefused += 5));
    assert.deepEqual(sandbox.told, []);
    sandbox.pass(4000, () => (sandbox.forksRefused += 500));
    assert.deepEqual(sandbox.told, ['fork-bomb tasks']);
  });

  it('is a crawl when it is slowed down at memory-high, and gets nothing done, for as long as a spin has', () => {
    const sandbox = new WatchedSandbox().pass(3000);
    sandbox.conduct.set(2, { state: 'D', call: CALLS.fault, run: 0.02 });
    sandbox.pass(28_000, () => (sandbox.memoryHigh += 100));
    assert.deepEqual(sandbox.told, []);
    sandbox.pass(5000, () => (sandbox.memoryHigh += 100));
    assert.deepEqual(sandbox.told, ['leak memory-high']);
  });

  it('is a crawl although other requests are answered, when one that is in hand does not get on', () => {
    const slowed = (conduct: Conduct): WatchedSandbox => {
      const sandbox = new WatchedSandbox().pass(3000);
      sandbox.conduct.set(9, conduct);
      sandbox.request({ index: 1, tid: 9, deadline: undefined });
      let done = 0;
      return sandbox.pass(40_000, () => {
        sandbox.memoryHigh += 100;
        sandbox.request({ index: 0, inFlight: 0, done: done++ });
      });
    };
    assert.deepEqual(slowed({ state: 'D', call: CALLS.fault, run: 0.02 }).told, ['leak memory-high']);
    // This one waits for something else: more memory would not help it.
    assert.deepEqual(slowed({ state: 'S', call: CALLS.epoll }).told, []);
  });

  it('is no crawl while requests are answered', () => {
    const sandbox = new WatchedSandbox();
    let done = 0;
    sandbox.pass(120_000, () => {
      sandbox.memoryHigh += 100;
      sandbox.request({ index: 0, inFlight: 0, done: done++ });
    });
    assert.deepEqual(sandbox.told, []);
  });
});

describe('growth', () => {
  const MB = 1024 ** 2;

  it('that would soon be at a limit is a leak, of whatever it is', () => {
    const growing: readonly (readonly [string, (sandbox: WatchedSandbox, share: number) => void])[] = [
      ['memory', (sandbox, share) => (sandbox.ownBytes = share * 256 * MB)],
      ['files', (sandbox, share) => (sandbox.descriptors = Math.round(share * 1024))],
      ['threads', (sandbox, share) => (sandbox.threads = Math.round(share * 64))],
    ];
    for (const [kind, grow] of growing) {
      const sandbox = new WatchedSandbox();
      const began = sandbox.now;
      sandbox.pass(200_000, () => grow(sandbox, 0.1 + (sandbox.now - began) / 250_000));
      assert.deepEqual([...new Set(sandbox.told)], [`leak ${kind}`]);
    }
  });

  it('that comes to its end, or is given back again and again, is none', () => {
    const shapes: readonly ((second: number) => number)[] = [
      (second) => Math.min(0.95, second / 40),
      (second) => 0.95 * (1 - Math.exp(-second / 30)),
      (second) => 0.5 + (second % 45) / 100,
      (second) => 0.86 + 0.1 * Math.sin(second),
      () => 0.97,
    ];
    for (const [index, shape] of shapes.entries()) {
      const sandbox = new WatchedSandbox();
      const began = sandbox.now;
      sandbox.pass(1_000_000, () => (sandbox.ownBytes = shape((sandbox.now - began) / 1000) * 256 * MB));
      assert.deepEqual(sandbox.told, [], `shape ${index}`);
    }
  });

  it('over days is seen, too, and what is kept of it is bounded', () => {
    const sandbox = new WatchedSandbox();
    sandbox.terms = { ...TERMS, heartbeatMs: 60_000 };
    const began = sandbox.now;
    sandbox.pass(
      5 * 86_400_000,
      () => (sandbox.ownBytes = (0.2 + (sandbox.now - began) / (6 * 86_400_000)) * 256 * MB),
    );
    assert.deepEqual([...new Set(sandbox.told)], ['leak memory']);
    assert.ok(sandbox.course.trends.memory.buckets.length <= 64);
  });
});

describe('looks', () => {
  it('are made once in a heartbeat, and bounded when a page asks for more', () => {
    const calm = new WatchedSandbox().pass(60_000);
    assert.ok(calm.looks <= 61, `${calm.looks}`);
    const restless = new WatchedSandbox();
    restless.pass(60_000, () => restless.request({ index: 0, startedAt: restless.now, deadline: restless.now + 1 }));
    assert.ok(restless.looks <= 241, `${restless.looks}`);
    const overdue = busy(IDLE).pass(60_000);
    assert.ok(overdue.looks <= 90, `${overdue.looks}`);
  });
});
