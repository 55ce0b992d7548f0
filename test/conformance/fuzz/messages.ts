import { behindLength, Extension, Float, frame, pack, type Value, Verbatim } from '../peer/pack.ts';
import type { Random } from './random.ts';

/** Bytes that begin something which is not there, is too long or must not be. */
const BEGINNINGS = [
  0xc1, 0xc4, 0xc6, 0xc7, 0xc9, 0xd4, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xff, 0x00, 0x93, 0x8f,
] as const;
const MOST_DEPTH = 5;

/** Any value; deep ones are rare. */
export function anyValue(random: Random, depth = 0): Value {
  switch (random.below(depth < MOST_DEPTH ? 12 : 9)) {
    case 0:
      return random.pick([null, true, false]);
    case 1:
      return random.below(300) - 150;
    case 2:
      return random.word() * (random.chance(0.5) ? -1 : 2 ** random.below(21));
    case 3:
      return random.word() / 1000 + 0.0001;
    case 4:
      return random.pick(['', 'a', 'ä', '日本', '🙂', 'x'.repeat(40), 'y'.repeat(300), '__proto__']);
    case 5:
      return random.bytes(random.below(40));
    case 6:
      return BigInt(random.word()) ** 2n - BigInt(random.word());
    case 7:
      return random.chance(0.1) ? new Float(random.below(100)) : random.below(2 ** 31);
    case 8:
      return random.chance(0.02) ? 'long '.repeat(20_000) : 'short';
    case 9:
      return Array.from({ length: random.below(random.chance(0.05) ? 100 : 6) }, () => anyValue(random, depth + 1));
    default:
      return Object.fromEntries(
        Array.from({ length: random.below(6) }, (_, index) => [
          random.pick([`key ${index}`, 'a', '__proto__', 'constructor']),
          anyValue(random, depth + 1),
        ]),
      );
  }
}

/** A message as a client may send it. */
export function goodMessage(random: Random, id: number, greeted: boolean): Value {
  const value = anyValue(random);
  const meta: { [key: string]: Value } = {};
  if (random.chance(0.2)) meta.deadline = 30_000 + random.below(50_000);
  if (random.chance(0.1)) meta.traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  if (random.chance(0.1)) meta.idempotency = `key ${random.below(1000)}`;
  if (greeted && random.chance(0.1)) meta.stream = 1 + random.below(1024);
  const withMeta = greeted && random.chance(0.3);
  const request = (method: string, params: readonly Value[]): Value =>
    withMeta ? [0, id, method, params, meta] : [0, id, method, params];
  switch (random.below(10)) {
    case 0:
      return request('add', [random.below(1000), random.below(1000)]);
    case 1:
      return request('size', [random.bytes(random.below(200))]);
    case 2:
      return request('throw', ['on purpose']);
    case 3:
      return request('no such method', [value]);
    case 4:
      return [2, random.pick(['bump', 'unknown']), [value]];
    case 5:
      return greeted
        ? random.pick([[2, '$cancel', [id - 1]], [2, '$credit', [id - 1, 5]], request('$ping', [])])
        : request('context', []);
    default:
      return request('echo', [value]);
  }
}

/** A message that is wrong in one place. */
function wrongMessage(random: Random, id: number): Value {
  const value = anyValue(random, 3);
  return random.pick<Value>([
    [0, value, 'echo', [1]],
    [0, id, value, [1]],
    [0, id, 'echo', value],
    [0, id, 'echo', [1], value],
    [0, id, 'echo', [1], { deadline: value, stream: value, idempotency: value, traceparent: value }],
    [value, id, 'echo', [1]],
    [0, id, 'echo'],
    [0, id, 'echo', [1], {}, value],
    [0],
    [],
    value,
    [1, id, null, value],
    [1, value],
    [2, value, [1]],
    [2, '$cancel', [value]],
    [2, '$credit', [value, value]],
    [2, '$credit', value],
    [0, id, 'x'.repeat(random.below(200)), []],
    [0, id, '$hello', [value]],
    [0, id, '$unknown', [value]],
    [0, id, 'echo', [new Extension(random.below(256), random.bytes(random.below(20)))]],
    [0, id, 'echo', [new Verbatim(random.bytes(1 + random.below(12)))]],
    [0, id, 'echo', [new Verbatim(Buffer.concat([Buffer.alloc(random.below(60), 0x91), Buffer.of(1)]))]],
    [0, id, 'echo', [new Verbatim(Buffer.from([random.pick(BEGINNINGS), 0xff, 0xff, 0xff, 0xff]))]],
    [0, id, 'echo', [{ a: new Verbatim(Buffer.from([0x81, 0xa1, 0x61, 0x81, random.below(256), 0x01])) }]],
  ]);
}

/** What the bytes of a message may become on their way. */
export function damaged(random: Random, body: Buffer): Buffer {
  const out = Buffer.from(body);
  const at = random.below(out.length);
  switch (random.below(8)) {
    case 0:
    case 1:
      out[at] = (out[at] ?? 0) ^ (1 << random.below(8));
      return out;
    case 2:
      out[at] = random.pick(BEGINNINGS);
      return out;
    case 3:
      return out.subarray(0, Math.max(1, at));
    case 4:
      return Buffer.concat([out.subarray(0, at), random.bytes(1 + random.below(8)), out.subarray(at)]);
    case 5:
      return Buffer.concat([
        out.subarray(0, at),
        out.subarray(Math.min(out.length, at + 1 + random.below(4))),
        Buffer.of(0),
      ]);
    case 6:
      return Buffer.concat([out, out.subarray(at)]);
    default:
      return random.bytes(1 + random.below(64));
  }
}

/** One message with all that frames it, right or wrong. */
export function anyFrame(random: Random, id: number, framed: boolean, greeted: boolean): Buffer {
  const whole = (body: Buffer): Buffer => (framed ? behindLength(body) : body);
  const kind = random.below(20);
  if (kind < 9) return whole(pack(goodMessage(random, id, greeted)));
  if (kind < 13) return whole(pack(wrongMessage(random, id)));
  const body = pack(goodMessage(random, id, greeted));
  if (kind < 17 || !framed) return whole(damaged(random, body));
  if (kind === 17) return frame([0, id, 'echo', [anyValue(random)]]).subarray(0, 1 + random.below(40));
  const lengths = [
    0,
    body.length - 1,
    body.length + 1,
    body.length + random.below(1000),
    random.word(),
    0xffffffff,
  ] as const;
  return behindLength(body, random.pick(lengths));
}
