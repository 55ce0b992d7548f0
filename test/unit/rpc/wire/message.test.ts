import assert from 'node:assert/strict';
import { cutText, readError, writeError } from '../../../../src/rpc/wire/error-value.ts';
import { readClientGreeting, readServerGreeting } from '../../../../src/rpc/wire/greeting.ts';
import { readMessage } from '../../../../src/rpc/wire/message.ts';
import { RequestIds } from '../../../../src/rpc/wire/request-ids.ts';
import { BadFrame } from '../../../../src/rpc/wire/wire-error.ts';

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('rpc: messages', () => {
  it('are told apart', () => {
    assert.deepEqual(readMessage([0, 7, 'echo', [1]]), {
      kind: 'request',
      id: 7,
      method: 'echo',
      params: [1],
      meta: {},
    });
    assert.deepEqual(readMessage([1, 2 ** 32 - 1, null, 'x']), {
      kind: 'response',
      id: 2 ** 32 - 1,
      error: null,
      result: 'x',
    });
    assert.deepEqual(readMessage([2, 'bump', []]), { kind: 'notification', method: 'bump', params: [] });
  });

  it('carry what their meta says, and nothing else', () => {
    const meta = { deadline: 5, traceparent: TRACE, tracestate: 'a=b', idempotency: 'k', stream: 3 };
    const message = readMessage([0, 1, 'x', [], { ...meta, other: 1 }]);
    assert.deepEqual(message.kind === 'request' ? message.meta : undefined, meta);
  });

  it('lose a trace context that is malformed, not the call', () => {
    for (const traceparent of [
      TRACE.toUpperCase(),
      TRACE.replace('00-', '01-'),
      `${TRACE}0`,
      'x',
      7,
      `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    ]) {
      const message = readMessage([0, 1, 'x', [], { traceparent, tracestate: 'a=b' }]);
      assert.deepEqual(message.kind === 'request' ? message.meta : undefined, {});
    }
  });

  const refused: unknown[] = [
    null,
    {},
    'x',
    [],
    [3, 1, 'x', []],
    ['0', 1, 'x', []],
    [0],
    [0, 1, 'x'],
    [0, -1, 'x', []],
    [0, 1.5, 'x', []],
    [0, 2 ** 32, 'x', []],
    [0, '1', 'x', []],
    [0, null, 'x', []],
    [0, 1, '', []],
    [0, 1, 'x'.repeat(129), []],
    [0, 1, 'ä'.repeat(65), []],
    [0, 1, 7, []],
    [0, 1, Buffer.from('x'), []],
    [0, 1, 'x', {}],
    [0, 1, 'x', null],
    [0, 1, 'x', [], null],
    [0, 1, 'x', [], []],
    [0, 1, 'x', [], 5],
    [0, 1, 'x', [], Buffer.from('x')],
    [0, 1, 'x', [], {}, 1],
    [0, 1, 'x', [], { deadline: 0 }],
    [0, 1, 'x', [], { deadline: 1.5 }],
    [0, 1, 'x', [], { deadline: 86_400_001 }],
    [0, 1, 'x', [], { deadline: '5' }],
    [0, 1, 'x', [], { stream: 0 }],
    [0, 1, 'x', [], { stream: 1025 }],
    [0, 1, 'x', [], { idempotency: '' }],
    [0, 1, 'x', [], { idempotency: 'x'.repeat(129) }],
    [1, 1, null],
    [1, 1, 'bad', 'good'],
    [1, -1, null, null],
    [2, 'x'],
    [2, 'x', [], {}, 1],
    [2, 7, []],
  ];
  for (const value of refused)
    it(`are not ${JSON.stringify(value)}`, () => {
      assert.throws(() => readMessage(value), BadFrame);
    });

  it('have ids that begin again and pass over those in use', () => {
    const ids = new RequestIds();
    const taken = new Set([0, 2]);
    assert.deepEqual([ids.next(taken), ids.next(taken), ids.next(taken)], [1, 3, 4]);
  });
});

describe('rpc: errors', () => {
  it('are cut to what may be sent, at the border of a character', () => {
    const { code, message } = writeError({ code: 'Not A Code', message: '€'.repeat(1000) });
    assert.equal(code, 'failed');
    assert.equal(message, '€'.repeat(341));
    assert.equal(cutText('x'.repeat(2000), 1024).length, 1024);
    assert.equal(cutText('x'.repeat(1024), 1024).length, 1024);
    assert.equal(cutText('ab€', 3), 'ab');
    assert.equal(cutText('😀😀', 7), '😀');
  });

  it('of a plain server may be anything', () => {
    assert.deepEqual(readError('no'), { code: 'remote', message: 'no' });
    for (const value of [7, true, ['x'], {}, { code: 7 }, { code: 'Bad Code' }, { message: 'x' }])
      assert.equal(readError(value).code, 'remote');
  });

  it('come as they were sent', () => {
    const error = { code: 'overloaded', message: 'later', data: [1], retry: true };
    assert.deepEqual(readError(writeError(error)), error);
    assert.deepEqual(readError({ code: 'x', message: 7, retry: 'yes', other: 1 }), { code: 'x', message: '' });
  });
});

describe('rpc: greetings', () => {
  const client = { protocol: 1, frame: 65_536, features: ['cancel', 'flying'], name: 'caller' };

  it('of a client name what it can', () => {
    assert.deepEqual(readClientGreeting([client]), { ...client, features: ['cancel'] });
    assert.deepEqual(readClientGreeting([{ protocol: 1, frame: 65_536, features: [] }]), {
      protocol: 1,
      frame: 65_536,
      features: [],
      name: '',
    });
  });

  it('of a client have names that fit a line of a log', () => {
    const greeting = readClientGreeting([{ ...client, name: `a\nb\u001b[2J${'ä'.repeat(100)}` }]);
    assert.ok(typeof greeting === 'object');
    assert.ok(greeting.name.startsWith('a?b?[2Jä'));
    assert.ok(Buffer.byteLength(greeting.name) <= 64);
  });

  it('of a client of another version are known as such', () => {
    const greeting = readClientGreeting([{ protocol: 2 }]);
    assert.equal(typeof greeting === 'object' ? greeting.protocol : undefined, 2);
  });

  for (const params of [
    [],
    [1],
    [null],
    [[]],
    [client, 1],
    [{ ...client, protocol: '1' }],
    [{ ...client, frame: 65_535 }],
    [{ ...client, frame: 67_108_865 }],
    [{ ...client, features: 'cancel' }],
    [{ ...client, features: [1] }],
  ])
    it(`of a client are not ${JSON.stringify(params)}`, () => {
      assert.equal(typeof readClientGreeting(params), 'string');
    });

  it('of a server are read, and anything else is a plain server', () => {
    const server = {
      protocol: 1,
      frame: 67_108_864,
      features: ['stream'],
      window: 64,
      plugin: 'p',
      version: null,
      sandbox: null,
      sdk: 'c/1',
    };
    assert.deepEqual(readServerGreeting(server), server);
    for (const answer of [
      null,
      'hello',
      7,
      [],
      { ...server, window: 0 },
      { ...server, window: 1025 },
      { ...server, frame: 1 },
      { ...server, protocol: 2 },
    ])
      assert.equal(readServerGreeting(answer), undefined);
  });
});
