import assert from 'node:assert/strict';
import fc from 'fast-check';
import { encodeFrame } from '../../../../src/rpc/wire/codec.ts';
import { FrameReader } from '../../../../src/rpc/wire/frame-reader.ts';
import { BARE_FRAME_LIMIT } from '../../../../src/rpc/wire/limits.ts';
import { BadFrame } from '../../../../src/rpc/wire/wire-error.ts';

const LIMIT = 1024 * 1024;

function collect(limit = LIMIT): { reader: FrameReader; values: unknown[] } {
  const values: unknown[] = [];
  return { values, reader: new FrameReader({ limit, takesBare: true, value: (value) => values.push(value) }) };
}

/** The bytes in pieces of these lengths, over and over. */
function pieces(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const length = lengths[index % lengths.length] ?? 1;
    // A copy, as each read has memory of its own.
    parts.push(Buffer.from(bytes.subarray(at, at + length)));
    at += length;
  }
  return parts;
}

const VALUES = [[1, 'x'], [0, { a: 'long'.repeat(10_000) }], [], [Buffer.alloc(100_000, 3)], ['ä'.repeat(30)], [7]];
const FRAMED = Buffer.concat(VALUES.map((value) => Buffer.from(encodeFrame(value, LIMIT))));

describe('rpc: frames', function () {
  this.timeout(60_000);

  it('are the same however they come', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 6 }), (lengths) => {
        const { reader, values } = collect();
        for (const piece of pieces(FRAMED, lengths)) reader.push(piece);
        assert.deepEqual(values, VALUES);
      }),
      { numRuns: 60, examples: [[[1]], [[3]], [[4]], [[5, 1]], [[65_536]]] },
    );
  });

  it('without lengths are the same however they come', () => {
    const requests = [
      [0, 1, 'echo', ['a']],
      [2, 'bump', []],
      [0, 2, 'echo', [Buffer.alloc(80_000, 9)]],
      [0, 3, 'echo', ['€'.repeat(20_000)]],
      [0, 4, 'echo', [{ deep: [[[1]]] }]],
    ];
    const bytes = Buffer.concat(requests.map((value) => Buffer.from(encodeFrame(value, LIMIT).subarray(4))));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 6 }), (lengths) => {
        const { reader, values } = collect();
        for (const piece of pieces(bytes, lengths)) reader.push(piece);
        assert.ok(reader.isBare);
        assert.deepEqual(values, requests);
      }),
      { numRuns: 60, examples: [[[1]], [[2]], [[65_536]]] },
    );
  });

  it('without lengths end the connection beyond 1 MiB', () => {
    const request = [0x94, 0, 1, 0xa1, 0x78];
    assert.throws(() => collect().reader.push(Buffer.from([...request, 0x91, 0xc6, 0, 0x10, 0, 0])), BadFrame);
    const { reader } = collect();
    reader.push(Buffer.from([...request, 0xdd, 0, 0x0f, 0xff, 0]));
    assert.throws(() => {
      for (let sent = 0; sent < 2 * BARE_FRAME_LIMIT; sent += 65_536) reader.push(Buffer.alloc(65_536, 0xcc));
    }, BadFrame);
  });

  it('over the limit are refused by their length alone', () => {
    const { reader } = collect(1000);
    assert.throws(() => reader.push(Buffer.from([0, 0, 3, 233])), /over the limit of 1000/);
  });

  it('of no bytes are refused', () => {
    const { reader } = collect();
    assert.throws(() => reader.push(Buffer.from([0, 0, 0, 0])), BadFrame);
  });

  it('before a bad one are handed on', () => {
    const { reader, values } = collect();
    const good = Buffer.from(encodeFrame([1], LIMIT));
    assert.throws(() => reader.push(Buffer.concat([good, Buffer.from([0, 0, 0, 1, 0xc1]), good])), BadFrame);
    assert.deepEqual(values, [[1]]);
  });

  it('behind a stop are not handed on', () => {
    const values: unknown[] = [];
    const reader = new FrameReader({
      limit: LIMIT,
      takesBare: false,
      value: (value) => {
        values.push(value);
        reader.stop();
      },
    });
    reader.push(Buffer.concat([encodeFrame([1], LIMIT), encodeFrame([2], LIMIT)].map((each) => Buffer.from(each))));
    assert.deepEqual(values, [[1]]);
  });

  it('that come byte by byte cost about what they are', () => {
    const { reader, values } = collect();
    const frame = Buffer.from(encodeFrame([Buffer.alloc(900_000, 1)], LIMIT));
    const before = process.memoryUsage();
    for (let at = 0; at < frame.length - 1; at++) reader.push(Buffer.from(frame.subarray(at, at + 1)));
    const after = process.memoryUsage();
    const grown = after.external + after.arrayBuffers - before.external - before.arrayBuffers;
    assert.ok(grown < 20 * frame.length, `${grown} bytes are kept of ${frame.length}`);
    reader.push(frame.subarray(frame.length - 1));
    assert.equal(values.length, 1);
  });
});
