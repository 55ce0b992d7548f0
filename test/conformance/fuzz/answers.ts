/** What a server may send to a client, right and wrong, and what a client has to make of it by docs/protocol.md. */
import { behindLength, pack, type Value, Verbatim } from '../peer/pack.ts';
import { unpack } from '../peer/unpack.ts';
import { anyValue, damaged } from './messages.ts';
import type { Random } from './random.ts';

/** What a call comes to. */
export interface Outcome {
  readonly error: unknown;
  readonly result: unknown;
  /** Nothing speaks against it; otherwise it may be refused, too. */
  readonly sure: boolean;
}

export interface AnswerJudgement {
  readonly outcomes: ReadonlyMap<number, Outcome>;
  readonly end: 'open' | 'bad' | 'waiting';
  readonly mayEnd: boolean;
  readonly why: string;
}

/** Bytes of a server behind its greeting, for these requests. */
export function judgeAnswers(bytes: Buffer, limit: number, asked: ReadonlySet<number>): AnswerJudgement {
  const outcomes = new Map<number, Outcome>();
  let doubt = '';
  const over = (end: 'open' | 'bad' | 'waiting', why = ''): AnswerJudgement => ({
    outcomes,
    end,
    mayEnd: doubt !== '',
    why: why || doubt,
  });
  let at = 0;
  while (at < bytes.length) {
    if (bytes.length - at < 4) return over('waiting');
    const length = bytes.readUInt32BE(at);
    if (length < 1 || length > limit) return over('bad', `a length of ${length}`);
    if (bytes.length - at - 4 < length) return over('waiting');
    const read = unpack(bytes.subarray(at + 4, at + 4 + length), 0, { limit });
    if (read.kind !== 'value') return over('bad', read.kind === 'bad' ? read.why : 'a value over its frame');
    if (read.end !== length) return over('bad', 'something behind the value');
    if (read.doubts.length > 0) doubt ||= read.doubts.join();
    at += 4 + length;
    const message = read.value;
    if (!Array.isArray(message)) return over('bad', 'no array');
    const [type, id, error, result] = message as unknown[];
    if (type === 1) {
      if (message.length < 4 || message.length > 5 || !isId(id)) return over('bad', 'a response of another form');
      if (message.length === 5 && !isPlainMap(message[4])) return over('bad', 'meta is no map');
      if (error !== null && result !== null) doubt ||= 'an error with a result';
      if (!asked.has(id) || outcomes.has(id)) doubt ||= 'a response to nothing';
      else outcomes.set(id, { error, result, sure: doubt === '' });
    } else if (type === 2) {
      const [, method, params] = message as unknown[];
      const isForm = message.length === 3 || (message.length === 4 && isPlainMap(message[3]));
      if (!isForm || typeof method !== 'string' || method === '' || Buffer.byteLength(method) > 128)
        return over('bad', 'a notification of another form');
      if (!Array.isArray(params)) return over('bad', 'params are no array');
      // What it says may end the connection, or not.
      if (method.startsWith('$')) doubt ||= method;
    } else if (type === 0) doubt ||= 'a request of a server';
    else return over('bad', 'no type of message');
  }
  return over('open');
}

function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}

function isPlainMap(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function goodAnswer(random: Random, id: number): Value {
  const value = anyValue(random);
  const problem = { code: random.pick(['own-code', 'failed', 'no-such-book']), message: 'on purpose', data: value };
  return random.pick<Value>([
    [1, id, null, value],
    [1, id, null, value],
    [1, id, null, value, {}],
    [1, id, problem, null],
    [1, id, 'an error of a plain server', null],
    [1, id, value ?? 'none', null],
    [2, 'news', [value]],
  ]);
}

function wrongAnswer(random: Random, id: number): Value {
  const value = anyValue(random, 3);
  return random.pick<Value>([
    [1, value, null, 1],
    [1, id + 1000, null, value],
    [1, id, null],
    [1, id, null, value, value],
    [1, id, value, value],
    [1, id, null, value, {}, 1],
    [value, id, null, 1],
    [0, id, 'echo', [value]],
    [2, '$item', [id, value]],
    [2, '$item', value],
    [2, '$drain', value],
    [2, '$credit', [id, 5]],
    [2, '$unknown', [value]],
    [2, '$close', ['bad-frame', 'I do not like you']],
    [2, value, value],
    value,
    [],
    [1, id, null, new Verbatim(random.bytes(1 + random.below(12)))],
    [1, id, null, new Verbatim(Buffer.concat([Buffer.alloc(random.below(60), 0x91), Buffer.of(1)]))],
  ]);
}

/** One message with its length, for this request or for none. */
export function anyAnswer(random: Random, id: number): Buffer {
  const kind = random.below(20);
  if (kind < 10) return behindLength(pack(goodAnswer(random, id)));
  if (kind < 14) return behindLength(pack(wrongAnswer(random, id)));
  const body = pack(goodAnswer(random, id));
  if (kind < 17) return behindLength(damaged(random, body));
  if (kind === 17) return behindLength(body).subarray(0, 1 + random.below(body.length + 3));
  return behindLength(body, random.pick([0, body.length - 1, body.length + 1, random.word(), 0xffffffff]));
}
