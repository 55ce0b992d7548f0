/** What a receiver has to make of any bytes, by docs/protocol.md; never what one of ours happens to do. */
import { isDeepStrictEqual } from 'node:util';
import type { Answer } from '../peer/conversation.ts';
import { Extension } from '../peer/pack.ts';
import { unpack } from '../peer/unpack.ts';

/** A request that was made by the bytes. */
export interface Expectation {
  readonly id: number;
  /** Parts that it may send, if it is streamed. */
  readonly credit: number | undefined;
  /** Says what is wrong with an answer; undefined where any answer is right. */
  readonly wrong: ((answer: Answer) => string | undefined) | undefined;
}

export interface Judgement {
  readonly requests: readonly Expectation[];
  /** `open`: all is answered, and it goes on. `bad`: the connection has to end. `waiting`: the last message is not all there. */
  readonly end: 'open' | 'bad' | 'waiting';
  /** Something of it may be refused, and need not be. */
  readonly mayEnd: boolean;
  /** Why it has to end, or may. */
  readonly why: string;
  /** Requests of the same id were made: what comes is anybody's. */
  readonly confused: boolean;
  /** The bytes asked the receiver to close. */
  readonly closing: boolean;
}

export const BARE_LIMIT = 1024 * 1024;
const BARE_FIRST = [0x93, 0x94, 0x95];

/** All that a client has sent behind its greeting (`greeted`), or from its first byte on. */
export function judge(bytes: Buffer, limit: number, greeted: boolean): Judgement {
  const judging = new Judging(greeted);
  const bare = !greeted && BARE_FIRST.includes(bytes[0] ?? 0);
  let at = 0;
  while (at < bytes.length && !judging.isOver) {
    if (bare) {
      const read = unpack(bytes, at, { limit: BARE_LIMIT });
      if (read.kind === 'incomplete' && bytes.length - at > BARE_LIMIT) judging.bad('over the limit of bare peers');
      else if (read.kind === 'incomplete') judging.wait(read.doubts);
      else if (read.kind === 'bad') {
        // What is wrong may be seen when the whole value is there, and not before.
        const end = unpack(bytes, at, { limit: BARE_LIMIT, lax: true });
        if (end.kind === 'incomplete') judging.wait([read.why]);
        else judging.bad(read.why);
      } else {
        judging.message(read.value, read.doubts);
        at = read.end;
      }
      continue;
    }
    if (bytes.length - at < 4) {
      judging.wait([]);
      break;
    }
    const length = bytes.readUInt32BE(at);
    if (length < 1 || length > limit) judging.bad(`a length of ${length}`);
    else if (bytes.length - at - 4 < length) judging.wait([]);
    else {
      const body = bytes.subarray(at + 4, at + 4 + length);
      const read = unpack(body, 0, { limit });
      if (read.kind === 'bad') judging.bad(read.why);
      else if (read.kind === 'incomplete') judging.bad('a value over its frame');
      else if (read.end !== length) judging.bad('something behind the value');
      else judging.message(read.value, read.doubts);
      at += 4 + length;
    }
  }
  return judging.done();
}

class Judging {
  readonly #greeted: boolean;
  readonly #requests = new Map<number, Expectation>();
  #end: Judgement['end'] = 'open';
  #doubt = '';
  #why = '';
  #confused = false;
  #closing = false;

  constructor(greeted: boolean) {
    this.#greeted = greeted;
  }

  get isOver(): boolean {
    return this.#end === 'bad' || this.#end === 'waiting';
  }

  bad(why: string): void {
    this.#end = 'bad';
    this.#why = why;
  }

  wait(doubts: readonly string[]): void {
    this.#doubt ||= doubts.join();
    this.#end = 'waiting';
  }

  message(value: unknown, doubts: readonly string[]): void {
    if (doubts.length > 0) this.#doubt ||= doubts.join();
    if (!Array.isArray(value)) return this.bad('no array');
    if (value[0] === 0) this.#request(value, doubts);
    else if (value[0] === 1) this.#response(value);
    else if (value[0] === 2) this.#notification(value);
    else this.bad('no type of message');
  }

  #request(message: readonly unknown[], doubts: readonly string[]): void {
    const [, id, method, params, meta] = message;
    if (message.length < 4 || message.length > 5) return this.bad('a request of another length');
    if (!isId(id)) return this.bad('no id');
    if (!isMethod(method)) return this.bad('no method');
    if (!Array.isArray(params)) return this.bad('params are no array');
    if (message.length === 5 && !this.#isMeta(meta)) return this.bad('no meta');
    if (this.#requests.has(id)) {
      // The first of the two may have been answered by then, or not.
      this.#doubt ||= 'an id twice';
      this.#confused = true;
    }
    if (method.startsWith('$') && method !== '$ping') this.#doubt ||= `'${method}'`;
    const map = isMap(meta) ? meta : {};
    const credit = this.#greeted && isIn(map.stream, 1, 1024) ? map.stream : undefined;
    const isClear = map.deadline === undefined && !doubts.includes('key twice');
    const right = isClear ? rightAnswer(method, params, this.#greeted) : undefined;
    // What may be refused may also be refused by an error.
    const wrong =
      doubts.length > 0 && right !== undefined
        ? (answer: Answer) => (answer.error === undefined ? right(answer) : undefined)
        : right;
    this.#requests.set(id, { id, credit, wrong });
  }

  /** Whether all its keys that the page knows say what they may. */
  #isMeta(meta: unknown): boolean {
    if (!isMap(meta)) return false;
    const { deadline, tracestate, idempotency, stream } = meta;
    // A trace context that is wrong is ignored; whether a wrong kind of value is one may be doubted.
    if (typeof (meta.traceparent ?? '') !== 'string' || !isText(tracestate ?? '', 0, 512))
      this.#doubt ||= 'trace context';
    return (
      (deadline === undefined || isIn(deadline, 1, 86_400_000)) &&
      (idempotency === undefined || isText(idempotency, 1, 128)) &&
      (stream === undefined || isIn(stream, 1, 1024))
    );
  }

  #response(message: readonly unknown[]): void {
    if (message.length < 4 || message.length > 5 || !isId(message[1])) return this.bad('a response of another form');
    this.#doubt ||= 'a response to nothing';
  }

  #notification(message: readonly unknown[]): void {
    const [, method, params, meta] = message;
    if (message.length < 3 || message.length > 4) return this.bad('a notification of another length');
    if (!isMethod(method)) return this.bad('no method');
    if (!Array.isArray(params)) return this.bad('params are no array');
    if (message.length === 4 && !isMap(meta)) return this.bad('meta is no map');
    if (message.length === 4 && !this.#isMeta(meta)) this.#doubt ||= 'meta of a notification';
    if (!method.startsWith('$')) return;
    const [id, n] = params;
    if (method === '$cancel' && this.#greeted && params.length === 1 && isId(id)) {
      const cancelled = this.#requests.get(id);
      if (cancelled !== undefined) this.#requests.set(id, { ...cancelled, wrong: undefined });
      return;
    }
    if (method === '$credit' && this.#greeted && params.length === 2 && isId(id) && isIn(n, 1, 1024)) return;
    this.#closing ||= method === '$close';
    this.#doubt ||= `'${method}'`;
  }

  done(): Judgement {
    return {
      requests: [...this.#requests.values()],
      end: this.#end,
      mayEnd: this.#doubt !== '',
      why: this.#why || this.#doubt,
      confused: this.#confused,
      closing: this.#closing,
    };
  }
}

/** What a right answer of the methods is whose answer their params decide. */
function rightAnswer(method: string, params: readonly unknown[], greeted: boolean): Expectation['wrong'] {
  const [one, two] = params;
  if (method === '$ping' && greeted && params.length === 0) return resultIs(null);
  if (method === 'echo' && params.length === 1) return resultIs(one);
  if (method === 'size' && params.length === 1 && Buffer.isBuffer(one)) return resultIs(one.length);
  if (method === 'add' && params.length === 2 && typeof one === 'number' && typeof two === 'number')
    return Number.isSafeInteger(one) && Number.isSafeInteger(two) && Number.isSafeInteger(one + two)
      ? resultIs(one + two)
      : undefined;
  return undefined;
}

function resultIs(value: unknown): NonNullable<Expectation['wrong']> {
  return ({ error, result }) =>
    error === undefined && isDeepStrictEqual(result, value) ? undefined : `not what was sent: ${String(result)}`;
}

function isId(value: unknown): value is number {
  return isIn(value, 0, 2 ** 32 - 1);
}

function isMethod(value: unknown): value is string {
  return isText(value, 1, 128);
}

function isText(value: unknown, least: number, most: number): value is string {
  return typeof value === 'string' && Buffer.byteLength(value) >= least && Buffer.byteLength(value) <= most;
}

function isIn(value: unknown, least: number, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array) &&
    !(value instanceof Extension)
  );
}
