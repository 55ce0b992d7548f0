import assert from 'node:assert/strict';
import { CrashTokens } from '../../../../src/rpc/client/crash-tokens.ts';
import { type CrashToken, readDiscovery } from '../../../../src/rpc/client/discovery-message.ts';

const SANDBOX = {
  generation: 17,
  slot: 'a',
  version: 'v1',
  state: 'ready',
  score: 100,
  weight: 95,
  socket: '/run/bulkhead/rpc/retrieval/17',
};

function told(...sandboxes: readonly unknown[]): string {
  return JSON.stringify({ discovery: 1, plugin: 'retrieval', sandboxes });
}

describe('rpc client: what is told of sandboxes', () => {
  it('is read', () => {
    assert.deepEqual(readDiscovery(told(SANDBOX)), { kind: 'sandboxes', sandboxes: [SANDBOX] });
    assert.deepEqual(
      readDiscovery('{"crash": {"generation": 17, "class": "oom", "text": "out of memory", "incident": null}}'),
      { kind: 'crash', crash: { generation: 17, class: 'oom', text: 'out of memory', incident: undefined } },
    );
  });

  it('may say more than is known', () => {
    assert.deepEqual(readDiscovery('{"weather": "fine"}'), { kind: 'unknown' });
    assert.deepEqual(readDiscovery('{"discovery": 2, "sandboxes": "all"}'), { kind: 'unknown' });
    const message = readDiscovery(told({ ...SANDBOX, mood: 'good', state: 'pondering' }));
    // Who is in a state that is not known is not called.
    assert.deepEqual(message, { kind: 'sandboxes', sandboxes: [{ ...SANDBOX, state: 'shut' }] });
  });

  for (const [what, line] of Object.entries({
    'no JSON': '{',
    'no object': '[]',
    'no list': '{"discovery": 1, "sandboxes": {}}',
    'too many': told(...Array.from({ length: 5000 }, (_, generation) => ({ ...SANDBOX, generation }))),
    'two of one generation': told(SANDBOX, SANDBOX),
    'a generation below 0': told({ ...SANDBOX, generation: -1 }),
    'a weight that is no percent': told({ ...SANDBOX, weight: 101 }),
    'a score that is no number': told({ ...SANDBOX, score: '100' }),
    'a relative path': told({ ...SANDBOX, socket: 'x' }),
    'a path too long for a socket': told({ ...SANDBOX, socket: `/${'x'.repeat(107)}` }),
    'a crash of nobody': '{"crash": {"class": "crash", "text": "x", "incident": null}}',
  }))
    it(`is refused: ${what}`, () => {
      assert.throws(() => readDiscovery(line), Error);
    });
});

describe('rpc client: crash tokens', () => {
  const token: CrashToken = { generation: 1, class: 'crash', text: 'killed', incident: undefined };

  it('are told to who waits once the incident has a name, or time is over', () => {
    const tokens = new CrashTokens();
    const seen: (string | undefined)[] = [];
    tokens.whenNamed(1, 1000, (each) => seen.push(each?.incident));
    tokens.whenNamed(2, 500, (each) => seen.push(each?.class));
    tokens.remember(token);
    assert.equal(seen.length, 0);
    tokens.remember({ ...token, incident: 'i1' });
    assert.deepEqual([...seen], ['i1']);
    tokens.remember({ ...token, generation: 2, class: 'oom' });
    tokens.sweep(499);
    assert.equal(tokens.waiting, 1);
    tokens.sweep(500);
    assert.deepEqual([...seen], ['i1', 'oom']);
    tokens.whenNamed(1, 1000, (each) => seen.push(each?.incident));
    assert.deepEqual([...seen], ['i1', 'oom', 'i1']);
  });

  it('are remembered for the last deaths only', () => {
    const tokens = new CrashTokens();
    for (let generation = 0; generation < 1000; generation++) tokens.remember({ ...token, generation });
    assert.equal(tokens.of(935), undefined);
    assert.equal(tokens.of(936)?.generation, 936);
  });

  it('are waited for no longer when nobody tells them any more', () => {
    const tokens = new CrashTokens();
    let heard = 0;
    tokens.whenNamed(1, Infinity, () => heard++);
    tokens.giveUp();
    assert.equal(heard, 1);
    assert.equal(tokens.waiting, 0);
  });
});
