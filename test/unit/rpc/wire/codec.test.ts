import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { decode, encodeFrame } from '../../../../src/rpc/wire/codec.ts';
import { MOST_LEVELS } from '../../../../src/rpc/wire/limits.ts';
import { BadFrame, NotSendable } from '../../../../src/rpc/wire/wire-error.ts';

const LIMIT = 1024 * 1024;

function decodeBytes(...bytes: number[]): unknown {
  return decode(Buffer.from(bytes), 0, bytes.length);
}

function again(value: unknown): unknown {
  const frame = encodeFrame(value, LIMIT);
  assert.equal(frame.readUInt32BE(0), frame.length - 4);
  return decode(frame, 4, frame.length);
}

function nested(levels: number): unknown {
  let value: unknown = [];
  for (let level = 1; level < levels; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

describe('rpc: codec', function () {
  this.timeout(60_000);

  it('gives back what it was given', () => {
    for (const value of [
      null,
      true,
      false,
      0,
      -1,
      127,
      128,
      -32,
      -33,
      65_535,
      2 ** 32 - 1,
      2 ** 32,
      2 ** 53,
      -(2 ** 53),
      1.5,
      '',
      'a',
      'ä€😀',
      'long '.repeat(50),
      [],
      {},
      [[], [1, ['x']]],
      { a: 1, b: { c: null } },
      Buffer.from([0, 1, 255]),
      Buffer.alloc(70_000, 7),
    ])
      assert.deepEqual(again(value), value);
  });

  it('gives back any value made of what can be sent', () => {
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5 },
        fc.string({ unit: 'binary' }),
        fc.maxSafeInteger(),
        fc.double({ noNaN: true }).filter((each) => !Object.is(each, -0)),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('tree'), { maxLength: 20 }),
        fc.dictionary(fc.string(), tie('tree')).map((each) => {
          const { __proto__: _, ...others } = each as Record<string, unknown>;
          return others;
        }),
      ),
    }));
    fc.assert(fc.property(tree, (value) => assert.deepEqual(again(value), value)));
  });

  it('takes undefined for nil, and a surrogate without its other half for U+FFFD', () => {
    assert.deepEqual(again([undefined, '\ud800', `${'x'.repeat(100)}\udc00`]), [
      null,
      '\ufffd',
      `${'x'.repeat(100)}\ufffd`,
    ]);
  });

  it('sends whole numbers as integers, and others as floats', () => {
    for (const value of [
      2 ** 31,
      -(2 ** 31) - 1,
      2 ** 32,
      1_764_133_000_000,
      -1_764_133_000_001,
      2 ** 53,
      -(2 ** 53),
    ]) {
      const frame = encodeFrame([value], LIMIT);
      assert.ok([0xce, 0xd3].includes(frame[5] as number), String(value));
      assert.deepEqual(again([value]), [value]);
    }
    for (const value of [1.5, 2 ** 31 + 0.5, 2 ** 54, -(2 ** 54), 1e300, Infinity, NaN])
      assert.equal(encodeFrame([value], LIMIT)[5], 0xcb, String(value));
  });

  it('sends a BigInt as an integer, and takes one up to 2^53', () => {
    assert.equal(again(2n ** 40n), 2 ** 40);
    assert.equal(again(-(2n ** 53n)), -(2 ** 53));
    assert.throws(() => encodeFrame(2n ** 53n + 1n, LIMIT), NotSendable);
    assert.throws(() => encodeFrame(-(2n ** 53n) - 1n, LIMIT), NotSendable);
    assert.throws(() => encodeFrame(2n ** 80n, LIMIT), NotSendable);
  });

  it('refuses to send what has no form on the wire', () => {
    const circle: unknown[] = [];
    circle.push(circle);
    for (const value of [new Date(), new Map([[1, 2]]), Symbol('x'), circle])
      assert.throws(() => encodeFrame([value], LIMIT), NotSendable, String(typeof value));
    assert.deepEqual(again(['still', { whole: true }]), ['still', { whole: true }]);
  });

  it('refuses to send more bytes than the receiver takes', () => {
    assert.throws(
      () => encodeFrame('x'.repeat(1000), 999),
      (error: unknown) => error instanceof NotSendable && error.code === 'too-large',
    );
    assert.equal(encodeFrame('x'.repeat(997), 1000).length, 1004);
  });

  it(`takes ${MOST_LEVELS} levels and not one more, in either direction`, () => {
    assert.deepEqual(again(nested(MOST_LEVELS)), nested(MOST_LEVELS));
    assert.throws(() => encodeFrame(nested(MOST_LEVELS + 1), LIMIT), NotSendable);
    const bytes = new Packr({ useRecords: false }).pack(nested(MOST_LEVELS + 1));
    assert.throws(() => decode(bytes, 0, bytes.length), BadFrame);
  });

  it('survives a million levels', () => {
    const bytes = Buffer.alloc(1_000_000, 0x91);
    assert.throws(() => decode(bytes, 0, bytes.length), /levels/);
  });

  const refused: Record<string, number[]> = {
    'a byte that is not used': [0xc1],
    'an extension of any type': [0xd4, 1, 0],
    'an extension with its length': [0xc7, 1, 5, 0],
    'a timestamp': [0xd6, 0xff, 0, 0, 0, 0],
    'a record of msgpackr': [0xd4, 0x72, 0x40],
    'an array that claims 2^32-1 elements': [0xdd, 255, 255, 255, 255],
    'a map that claims 2^32-1 entries': [0xdf, 255, 255, 255, 255],
    'arrays that claim the same bytes over and over': [0xdc, 0, 5, 0xdc, 0, 2, 1, 1],
    'a text that claims 2^32-1 bytes': [0xdb, 255, 255, 255, 255],
    'a binary that claims 2^32-1 bytes': [0xc6, 255, 255, 255, 255],
    'a text that is cut': [0xa3, 0x61, 0x62],
    'a number that is cut': [0xcd, 1],
    'a length that is cut': [0xda, 1],
    'an array that is cut': [0x92, 1],
    nothing: [],
    'a second value behind the first': [1, 2],
    'a key that is a number': [0x81, 1, 1],
    'a key that is nil': [0x81, 0xc0, 1],
    'a key that is an array': [0x81, 0x90, 1],
    'a text that is not UTF-8': [0xa1, 0xff],
    'a text with an overlong form': [0xa2, 0xc0, 0x80],
    'a text with a surrogate': [0xa3, 0xed, 0xa0, 0x80],
    'a key that is not UTF-8': [0x81, 0xa1, 0x80, 1],
    'an integer of 2^53 + 1': [0xcf, 0, 0x20, 0, 0, 0, 0, 0, 1],
    'an integer of 2^64 - 1': [0xcf, 255, 255, 255, 255, 255, 255, 255, 255],
    'an integer of -2^53 - 1': [0xd3, 0xff, 0xdf, 255, 255, 255, 255, 255, 255],
  };
  for (const [what, bytes] of Object.entries(refused))
    it(`refuses ${what}`, () => {
      assert.throws(() => decodeBytes(...bytes), BadFrame);
    });

  it('takes integers of 64 bits up to 2^53', () => {
    assert.equal(decodeBytes(0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0), 2 ** 53);
    assert.equal(decodeBytes(0xd3, 0xff, 0xe0, 0, 0, 0, 0, 0, 0), -(2 ** 53));
    assert.equal(decodeBytes(0xd3, 255, 255, 255, 255, 255, 255, 255, 255), -1);
  });

  it('leaves the prototype of objects alone', () => {
    const bytes = encodeFrame(JSON.parse('{"__proto__": {"bad": 1}, "constructor": 2}'), LIMIT);
    const value = decode(bytes, 4, bytes.length) as Record<string, unknown>;
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
    assert.equal(value.bad, undefined);
    assert.equal(value.constructor, 2);
    assert.deepEqual(Object.keys(value).sort(), ['__proto__', 'constructor']);
    assert.equal(JSON.stringify(again({ deep: [value] })), JSON.stringify({ deep: [value] }));
  });

  it('either refuses bytes that were made up or gives a value that can be sent again', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), (made) => {
        const bytes = Buffer.from(made);
        let value: unknown;
        try {
          value = decode(bytes, 0, bytes.length);
        } catch (error) {
          assert.ok(error instanceof BadFrame, String(error));
          return;
        }
        encodeFrame(value, LIMIT);
      }),
      { numRuns: 5000 },
    );
  });
});
