import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  ACTIVITY_HEAD_BYTES,
  ACTIVITY_PAGE_BYTES,
  inFlight,
  parseActivityPage,
  parseFlightRecords,
  parseHeaderAgain,
  parseRecordedTimes,
} from '../../../src/diagnose/activity-page.ts';

const NOW = 1_000_000;
const MS = 1_000_000n;

/** A page with two slots and three records, as a writer leaves it. */
function page(): Buffer {
  const bytes = Buffer.alloc(ACTIVITY_PAGE_BYTES);
  bytes.write('BKACT001');
  bytes.writeUInt32LE(2, 8);
  bytes.writeBigUInt64LE(999_500n * MS, 16);
  bytes.writeUInt32LE(2, 24);
  slot(bytes, 0, { sequence: 8, inFlight: 1, started: 990_000n, deadline: 995_000n, tid: 2, method: 'embed' });
  slot(bytes, 1, { sequence: 4, inFlight: 0, started: 0n, deadline: 0n, tid: 3, method: '' });
  record(bytes, 0n, { kind: 1, started: 990_000n, duration: 0n, text: 'embed' });
  record(bytes, 1n, { kind: 2, started: 991_000n, duration: 12n, text: 'ping' });
  record(bytes, 2n, { kind: 4, started: 992_000n, duration: 0n, text: 'user 7 reads document 12' });
  return bytes;
}

interface Slot {
  readonly sequence: number;
  readonly inFlight: number;
  readonly started: bigint;
  readonly deadline: bigint;
  readonly tid: number;
  readonly method: string;
}

function slot(bytes: Buffer, index: number, { sequence, inFlight: busy, started, deadline, tid, method }: Slot): void {
  const at = 64 + 128 * index;
  bytes.writeUInt32LE(sequence, at);
  bytes.writeUInt32LE(busy, at + 4);
  bytes.writeBigUInt64LE(started * MS, at + 8);
  bytes.writeBigUInt64LE(deadline * MS, at + 16);
  bytes.writeBigUInt64LE(17n, at + 24);
  if (busy > 0) bytes.write('0123456789abcdef0123456789abcdef', at + 32, 'hex');
  bytes.writeUInt32LE(tid, at + 48);
  bytes.writeBigUInt64LE(5n, at + 56);
  bytes.writeBigUInt64LE(1n, at + 64);
  bytes.write(method, at + 72);
}

interface Record {
  readonly kind: number;
  readonly started: bigint;
  readonly duration: bigint;
  readonly text: string;
}

function record(bytes: Buffer, number: bigint, { kind, started, duration, text }: Record): void {
  const at = 4096 + 256 * Number(number % 240n);
  bytes.writeBigUInt64LE(number + 1n, at);
  bytes.writeBigUInt64LE(started * MS, at + 8);
  bytes.writeBigUInt64LE(duration * MS, at + 16);
  bytes.writeUInt32LE(2, at + 40);
  bytes.writeUInt16LE(kind, at + 44);
  bytes.writeUInt16LE(Buffer.byteLength(text), at + 46);
  bytes.write(text, at + 48);
}

describe('the activity page', () => {
  it('says what is in flight, since when, and in which thread', () => {
    const read = parseActivityPage(page().subarray(0, ACTIVITY_HEAD_BYTES), NOW);
    assert.equal(read?.tick, 999_500);
    assert.equal(read.loopTid, 2);
    assert.equal(read.slots.length, 2);
    assert.deepEqual(read.slots[0], {
      index: 0,
      sequence: 8,
      inFlight: 1,
      startedAt: 990_000,
      deadline: 995_000,
      progress: 17n,
      traceId: '0123456789abcdef0123456789abcdef',
      tid: 2,
      done: 5,
      failed: 1,
      method: 'embed',
    });
    assert.deepEqual(
      inFlight(read).map(({ index }) => index),
      [0],
    );
    assert.equal(read.slots[1]?.method, undefined);
    assert.equal(read.slots[1]?.startedAt, undefined);
  });

  it('is none when it is short, or nobody wrote it', () => {
    assert.equal(parseActivityPage(Buffer.alloc(ACTIVITY_PAGE_BYTES), NOW), undefined);
    assert.equal(parseActivityPage(page().subarray(0, 4000), NOW), undefined);
    assert.equal(parseActivityPage(new Uint8Array(), NOW), undefined);
    assert.deepEqual(parseFlightRecords(Buffer.alloc(ACTIVITY_PAGE_BYTES), NOW), []);
  });

  it('believes no time that is still to come, and no thread that cannot be', () => {
    const bytes = page();
    bytes.writeBigUInt64LE(BigInt(NOW + 60_000) * MS, 16);
    bytes.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, 64 + 8);
    bytes.writeUInt32LE(0xffff_ffff, 64 + 48);
    bytes.writeUInt32LE(0, 24);
    const read = parseActivityPage(bytes, NOW);
    assert.equal(read?.tick, undefined);
    assert.equal(read?.loopTid, undefined);
    assert.equal(read?.slots[0]?.startedAt, undefined);
    assert.equal(read?.slots[0]?.tid, undefined);
  });

  it('is the same when only its header is read again, and read anew when that does not fit', () => {
    const bytes = page();
    const before = parseActivityPage(bytes, NOW);
    assert.ok(before);
    bytes.writeBigUInt64LE(999_900n * MS, 16);
    const again = parseHeaderAgain(bytes, before, NOW);
    assert.deepEqual(again, { ...before, tick: 999_900 });
    assert.deepEqual(again, parseActivityPage(bytes, NOW));
    bytes.writeUInt32LE(1, 8);
    assert.equal(parseHeaderAgain(bytes, before, NOW)?.slots.length, 1);
    bytes.write('BKACT002');
    assert.equal(parseHeaderAgain(bytes, before, NOW), undefined);
  });

  it('has 31 slots at most, whatever it claims', () => {
    const bytes = page();
    bytes.writeUInt32LE(0xffff_ffff, 8);
    assert.equal(parseActivityPage(bytes, NOW)?.slots.length, 31);
  });

  it('names no method that is not text, and cuts one that is too long', () => {
    const bytes = page();
    bytes.fill(0xff, 64 + 72, 64 + 80);
    assert.equal(parseActivityPage(bytes, NOW)?.slots[0]?.method, undefined);
    bytes.write('ä'.repeat(28), 64 + 72);
    assert.equal(parseActivityPage(bytes, NOW)?.slots[0]?.method, 'ä'.repeat(28));
    bytes.write(`x${'ä'.repeat(28)}`.slice(0, 28), 64 + 72);
    bytes.writeUInt8(0xc3, 64 + 127);
    assert.match(parseActivityPage(bytes, NOW)?.slots[0]?.method ?? '', /^xä+$/);
    bytes.write('a\u001b[2Jb\0', 64 + 72);
    assert.equal(parseActivityPage(bytes, NOW)?.slots[0]?.method, 'a?[2Jb');
  });
});

describe('flight records', () => {
  it('are read back in the order in which they were made', () => {
    const bytes = page();
    record(bytes, 242n, { kind: 3, started: 993_000n, duration: 7n, text: 'late' });
    assert.deepEqual(
      parseFlightRecords(bytes, NOW).map(({ number, kind, durationMs, text }) => [number, kind, durationMs, text]),
      [
        [0, 'began', undefined, 'embed'],
        [1, 'ended-well', 12, 'ping'],
        [242, 'ended-badly', 7, 'late'],
      ],
    );
  });

  it('are left out when they are of no known kind, too long, no text, or in the wrong place', () => {
    const broken: ((bytes: Buffer, at: number) => void)[] = [
      (bytes, at) => bytes.writeUInt16LE(0, at + 44),
      (bytes, at) => bytes.writeUInt16LE(6, at + 44),
      (bytes, at) => bytes.writeUInt16LE(209, at + 46),
      (bytes, at) => bytes.writeUInt8(0xff, at + 48),
      (bytes, at) => bytes.writeBigUInt64LE(0n, at),
      (bytes, at) => bytes.writeBigUInt64LE(7n, at),
      (bytes, at) => bytes.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, at),
    ];
    for (const [index, damage] of broken.entries()) {
      const bytes = page();
      damage(bytes, 4096 + 256);
      assert.deepEqual(
        parseFlightRecords(bytes, NOW).map(({ number }) => number),
        [0, 2],
        `damage ${index}`,
      );
    }
  });
});

describe('any bytes at all', () => {
  it('give a bounded page or none, and never an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2 * ACTIVITY_HEAD_BYTES }), fc.boolean(), (noise, withHead) => {
        const bytes = Buffer.from(noise);
        if (withHead && bytes.length >= 8) bytes.write('BKACT001');
        const read = parseActivityPage(bytes, NOW);
        assert.ok((read?.slots.length ?? 0) <= 31);
        for (const { method, startedAt, tid } of read?.slots ?? []) {
          assert.ok(method === undefined || method.length <= 56);
          assert.ok(startedAt === undefined || startedAt <= NOW + 50);
          assert.ok(tid === undefined || (tid > 0 && tid <= 4_194_304));
        }
        assert.ok(parseFlightRecords(bytes, NOW).every(({ text }) => text.length <= 208));
      }),
    );
  });

  it('tells how long requests took that ended well, each once, and none that could not have been', () => {
    const bytes = page();
    assert.deepEqual(parseRecordedTimes(bytes, -1, NOW), { durations: [12], newest: 2 });
    assert.deepEqual(parseRecordedTimes(bytes, 2, NOW), { durations: [], newest: 2 });
    record(bytes, 3n, { kind: 3, started: 993_000n, duration: 5n, text: 'ended badly' });
    record(bytes, 4n, { kind: 2, started: 999_000n, duration: 86_400_000n, text: 'ends tomorrow' });
    record(bytes, 5n, { kind: 2, started: 2_000_000n, duration: 1n, text: 'not begun' });
    record(bytes, 6n, { kind: 2, started: 994_000n, duration: 250n, text: 'ping' });
    assert.deepEqual(parseRecordedTimes(bytes, 2, NOW), { durations: [250], newest: 6 });
    assert.deepEqual(parseRecordedTimes(bytes.subarray(0, ACTIVITY_HEAD_BYTES), -1, NOW), {
      durations: [],
      newest: -1,
    });
  });

  it('believes no times but such as can be, whatever is on it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4096, maxLength: 9000 }), (bytes) => {
        const { durations } = parseRecordedTimes(bytes, -1, NOW);
        assert.ok(durations.length <= 240 && durations.every((ms) => ms > 0 && ms <= NOW + 50));
      }),
    );
  });
});
