import assert from 'node:assert/strict';
import fc from 'fast-check';
import { asFailure } from '../../../src/base/failure.ts';
import { encode } from '../../../src/systemd/encoder.ts';
import { type Dropped, FrameReader } from '../../../src/systemd/safe-decoder.ts';
import { type Incoming, MESSAGE, plain, Variant } from '../../../src/systemd/wire.ts';

/** Feeds bytes in pieces and returns what came of them. */
function read(pieces: readonly Buffer[], maxBytes = 1 << 20) {
  const messages: Incoming[] = [];
  const dropped: Dropped[] = [];
  const broken: string[] = [];
  const reader = new FrameReader(maxBytes, {
    message: (message) => messages.push(message),
    dropped: (why) => dropped.push(why),
    broken: (reason) => broken.push(reason),
  });
  for (const piece of pieces) reader.push(piece);
  return { messages, dropped, broken };
}

function signal(signature: string, body: readonly unknown[]): Buffer {
  return encode({ type: MESSAGE.signal, path: '/a', interface: 'a.b', member: 'S', signature, body }, 1);
}

function only(bytes: Buffer): Incoming {
  const { messages, dropped, broken } = read([bytes]);
  assert.deepEqual([dropped, broken], [[], []]);
  const [message] = messages;
  assert.ok(message);
  return message;
}

/** A D-Bus type together with values of it. */
interface Typed {
  readonly signature: string;
  readonly value: fc.Arbitrary<unknown>;
}

const text = fc.string({ unit: 'grapheme' }).map((value) => value.replaceAll('\0', ''));
const BASIC: readonly Typed[] = [
  { signature: 'y', value: fc.integer({ min: 0, max: 255 }) },
  { signature: 'b', value: fc.boolean() },
  { signature: 'n', value: fc.integer({ min: -0x8000, max: 0x7fff }) },
  { signature: 'q', value: fc.integer({ min: 0, max: 0xffff }) },
  { signature: 'i', value: fc.integer({ min: -0x80000000, max: 0x7fffffff }) },
  { signature: 'u', value: fc.integer({ min: 0, max: 0xffffffff }) },
  { signature: 'x', value: fc.maxSafeInteger() },
  { signature: 't', value: fc.oneof(fc.maxSafeNat(), fc.constant('infinity')) },
  { signature: 'd', value: fc.double({ noNaN: true, noDefaultInfinity: true }) },
  { signature: 's', value: text },
  { signature: 'o', value: fc.constantFrom('/', '/a', '/a_1/B') },
  { signature: 'g', value: fc.constantFrom('', 's', 'a{sv}(ii)') },
];

const types: fc.Arbitrary<Typed> = fc.letrec<{ type: Typed }>((tie) => ({
  type: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(...BASIC),
    tie('type').map(({ signature, value }) => ({
      signature: `a${signature}`,
      value: signature === 'y' ? fc.uint8Array({ maxLength: 9 }) : fc.array(value, { maxLength: 4 }),
    })),
    fc.array(tie('type'), { minLength: 1, maxLength: 3 }).map((members) => ({
      signature: `(${members.map(({ signature }) => signature).join('')})`,
      value: fc.tuple(...members.map(({ value }) => value)),
    })),
    tie('type').map(({ signature, value }) => ({
      signature: `a{s${signature}}`,
      value: fc.dictionary(text, value, { maxKeys: 4, noNullPrototype: true }),
    })),
    tie('type').map(({ signature, value }) => ({
      signature: 'v',
      value: value.map((inner) => new Variant(signature, inner)),
    })),
  ),
})).type;

const messages = types
  .filter(({ signature }) => signature.length < 200)
  .chain(({ signature, value }) => value.map((inner) => ({ signature, inner })));

describe('D-Bus messages', () => {
  it('come out as they went in, for every type', () => {
    fc.assert(
      fc.property(messages, ({ signature, inner }) => {
        const message = only(signal(signature, [inner]));
        assert.equal(message.head.signature, signature);
        // Deep equality tells -0 from 0 and keeps no prototypes apart beyond that.
        assert.deepEqual(JSON.stringify(message.body()), JSON.stringify([inner]));
      }),
      { numRuns: 300 },
    );
  });

  it('are found however the stream is cut', () => {
    const bytes = Buffer.concat([signal('s', ['one']), signal('', []), signal('au', [[1, 2, 3]])]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: bytes.length })), (cuts) => {
        const sorted = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const pieces = sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
        assert.deepEqual(
          read(pieces).messages.map((message) => message.body()),
          [['one'], [], [[1, 2, 3]]],
        );
      }),
    );
  });

  it('never make the reader throw, whatever bytes they are', () => {
    const harmless = (bytes: Buffer) => {
      for (const message of read([bytes]).messages) {
        message.firstString();
        try {
          message.body();
        } catch (thrown) {
          assert.ok(thrown instanceof Error);
        }
      }
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => harmless(Buffer.from(bytes))),
      { numRuns: 500 },
    );
    const good = signal('sa{sv}as(tb)', ['x', { a: new Variant('at', [1, 2]) }, ['y'], [7, true]]);
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const bytes = Buffer.from(good);
        for (const [at, value] of changes) bytes[at] = value;
        harmless(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  /** Replaces the signature of a message; both must be equally long. */
  function disguised(bytes: Buffer, from: string, to: string): Buffer {
    const field = (signature: string) => Buffer.from([8, 1, 0x67, 0, signature.length, ...Buffer.from(signature), 0]);
    const at = bytes.indexOf(field(from));
    assert.ok(at > 0);
    field(to).copy(bytes, at);
    return bytes;
  }

  it('with a descriptor that did not come are dropped', () => {
    assert.deepEqual(read([disguised(signal('u', [0]), 'u', 'h')]).dropped, ['malformed']);
    const [inside] = read([Buffer.from(signal('v', [new Variant('u', 0)]))]).messages;
    assert.deepEqual(inside?.body(), [new Variant('u', 0)]);
    const bytes = signal('v', [new Variant('u', 0)]);
    bytes[bytes.lastIndexOf('u'.charCodeAt(0))] = 'h'.charCodeAt(0);
    assert.throws(() => only(bytes).body(), /descriptor/);
  });

  it('with an array of nothing do not run for ever', () => {
    const { dropped } = read([disguised(signal('aut', [[], 0]), 'aut', 'a()')]);
    assert.deepEqual(dropped, ['malformed']);
  });

  it('with an array longer than the message are refused before anything is made of it', () => {
    const bytes = signal('a(y)', [[[1]]]);
    bytes.writeUInt32LE(0x03ff_fff0, bytes.length - 12);
    const begin = process.hrtime.bigint();
    assert.throws(() => only(bytes).body());
    assert.ok(process.hrtime.bigint() - begin < 50_000_000n);
  });

  it('that nest too deeply are refused', () => {
    let value = new Variant('u', 1);
    for (let depth = 0; depth < 59; depth++) value = new Variant('v', value);
    assert.equal(plain(only(signal('v', [value])).body()[0]), 1);
    for (let depth = 0; depth < 10; depth++) value = new Variant('v', value);
    assert.throws(() => signal('v', [value]), /nested/);
  });

  it('beyond the limit are skipped, and the next one is read', () => {
    const bytes = Buffer.concat([signal('s', ['x'.repeat(5000)]), signal('s', ['next'])]);
    for (const size of [1, 100, 4096, bytes.length]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      const { messages: kept, dropped } = read(pieces, 1000);
      assert.deepEqual(dropped, ['oversize']);
      assert.deepEqual(
        kept.map((message) => message.body()),
        [['next']],
      );
    }
  });

  it('of impossible size break the stream', () => {
    const bytes = signal('s', ['x']);
    bytes.writeUInt32LE(0x7fff_fff8, 4);
    assert.equal(read([bytes]).broken.length, 1);
    assert.equal(read([Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')]).broken.length, 1);
  });

  it('cannot set a prototype', () => {
    const bytes = signal('a{sv}', [new Map([['__proto__', new Variant('s', 'evil')]])]);
    const [object] = only(bytes).body() as [Record<string, unknown>];
    assert.equal(Object.getPrototypeOf(object), Object.prototype);
    assert.deepEqual(Object.keys(object), ['__proto__']);
    const [unwrapped] = plain([object]) as [Record<string, unknown>];
    assert.deepEqual(Object.entries(unwrapped), [['__proto__', 'evil']]);
  });

  it('give 64-bit numbers as numbers or infinity', () => {
    const body = only(signal('ttx', [Number.MAX_SAFE_INTEGER, 'infinity', -5])).body();
    assert.deepEqual(body, [Number.MAX_SAFE_INTEGER, 'infinity', -5]);
  });

  it('are big-endian when the peer likes it so', () => {
    // Written by hand: header, field 5 (reply serial 1), field 8 (signature u) with padding, the body 258.
    const hex = '4202000100000004000000070000000f' + '0501750000000001' + '0801670001750000' + '00000102';
    const message = only(Buffer.from(hex, 'hex'));
    assert.deepEqual([message.head.replySerial, message.body()], [1, [258]]);
  });

  it('that the bus daemon would not take are refused, with the place', () => {
    const refused: readonly (readonly [string, readonly unknown[], RegExp])[] = [
      ['o', ['a'], /body\[0\]: 'a' is not an object path/],
      ['h', [1], /descriptors are not passed/],
      ['as', [['a', 1]], /body\[0\]\[1\]: a string is needed/],
      ['a{sv}', [{ k: 'bare' }], /body\[0\]\.k\[1\]: a Variant is needed/],
      ['(su)', [['a', 2 ** 32]], /body\[0\]\[1\]: an integer from 0 to 4294967295/],
      ['t', [2 ** 53], /integer/],
      ['b', [1], /boolean/],
      ['s', ['a\0'], /NUL/],
      ['u', [], /1 values are needed, not 0/],
      ['', [1], /0 values are needed, not 1/],
      ['a', [[]], /unexpected end/],
      ['a{vs}', [{}], /basic type/],
      ['()', [[]], /empty struct/],
      ['v', [new Variant('ss', 'x')], /single complete type/],
      ['as', [[undefined]], /string is needed/],
      // biome-ignore lint/suspicious/noSparseArray: a hole is what is tested
      ['as', [[, 'x']], /string is needed/],
    ];
    for (const [signature, body, reason] of refused) {
      const failure = ((): unknown => {
        try {
          return signal(signature, body);
        } catch (thrown) {
          return thrown;
        }
      })();
      assert.equal(asFailure(failure).code, 'BH503', signature);
      assert.match(asFailure(failure).message, reason);
    }
  });
});
