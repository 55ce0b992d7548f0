/** What a server may say on one connection, judged by docs/protocol.md as it comes in. */

export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly data: unknown;
  readonly retry: unknown;
}

export interface Answer {
  readonly id: number;
  /** As it came; undefined when it went well. */
  readonly error: unknown;
  readonly result: unknown;
  readonly meta: unknown;
  /** The parts that came before it. */
  readonly items: readonly unknown[];
}

/** A request that has no response yet. */
interface Open {
  readonly items: unknown[];
  /** Parts that the server may still send; undefined for one that is not streamed. */
  credit: number | undefined;
}

const CODE = /^[a-z0-9-]{1,64}$/;

export class Conversation {
  /** What the server did that it must not; to be empty at the end of every test. */
  readonly faults: string[] = [];
  /** All that came. */
  readonly messages: unknown[] = [];
  readonly answers = new Map<number, Answer>();
  readonly open = new Map<number, Open>();
  /** What `$close` said. */
  reason: { readonly code: string; readonly message: string } | undefined;
  drained = false;
  /** Whether it is spoken without lengths. */
  bare = false;
  /** Features that both ends have named; undefined without a greeting. */
  features: readonly string[] | undefined;
  /** Responses under ids that the test reuses or breaks on purpose are not held against the server. */
  lenient = false;

  asked(id: number, credit: number | undefined): void {
    this.open.set(id, { items: [], credit });
  }

  credited(id: number, n: number): void {
    const open = this.open.get(id);
    if (open?.credit !== undefined) open.credit += n;
  }

  /** Takes a message; returns it when it is an answer. */
  take(message: unknown): Answer | undefined {
    this.messages.push(message);
    if (!Array.isArray(message)) this.#fault('no array', message);
    else if (this.reason !== undefined) this.#fault('a message behind $close', message);
    else if (message[0] === 1) return this.#answer(message);
    else if (message[0] === 2) this.#notification(message);
    else this.#fault('neither response nor notification', message);
    return undefined;
  }

  #answer(message: readonly unknown[]): Answer | undefined {
    const [, id, error, result, meta] = message;
    const open = typeof id === 'number' ? this.open.get(id) : undefined;
    if (message.length < 4 || message.length > 5) this.#fault('a response of another length', message);
    if (meta !== undefined && this.features === undefined) this.#fault('meta without a greeting', message);
    if (error !== null && result !== null) this.#fault('an error with a result', message);
    if (error !== null && problemOf(error) === undefined) this.#fault('an error that is not by the page', message);
    if (typeof id !== 'number' || open === undefined) {
      if (!this.lenient) this.#fault('a response that nothing asked for', message);
      return undefined;
    }
    this.open.delete(id);
    const answer = { id, error: error ?? undefined, result, meta, items: open.items };
    this.answers.set(id, answer);
    return answer;
  }

  #notification(message: readonly unknown[]): void {
    const [, method, params, meta] = message;
    if (message.length < 3 || message.length > 4 || !Array.isArray(params))
      return this.#fault('a notification of another form', message);
    if (meta !== undefined && (typeof meta !== 'object' || meta === null)) this.#fault('meta is no map', message);
    if (this.bare) this.#fault('a notification to a bare peer', message);
    else if (method === '$close') this.#closing(params, message);
    else if (this.features === undefined) this.#fault('a notification without a greeting', message);
    else if (method === '$item') this.#item(params, message);
    else if (method === '$drain' && this.features.includes('drain') && params.length === 0) this.drained = true;
    else this.#fault('a notification that the page does not have', message);
  }

  #item(params: readonly unknown[], message: unknown): void {
    const [id, value] = params;
    const open = typeof id === 'number' ? this.open.get(id) : undefined;
    if (params.length !== 2 || open?.credit === undefined)
      return this.#fault('an item that nothing asked for', message);
    open.credit -= 1;
    if (open.credit < 0) this.#fault('an item without credit', message);
    open.items.push(value);
  }

  #closing(params: readonly unknown[], message: unknown): void {
    const [code, text] = params;
    if (params.length !== 2 || typeof code !== 'string' || !CODE.test(code) || typeof text !== 'string' || text === '')
      return this.#fault('a $close without code and message', message);
    this.reason = { code, message: text };
  }

  #fault(what: string, message: unknown): void {
    const shown = JSON.stringify(message, (_, value) => (typeof value === 'bigint' ? String(value) : value));
    this.faults.push(`${what}: ${(shown ?? 'undefined').slice(0, 200)}`);
  }
}

/** The error of a response, if it is one by the page. */
export function problemOf(error: unknown): Problem | undefined {
  if (typeof error !== 'object' || error === null || Array.isArray(error)) return undefined;
  const { code, message, data, retry } = error as Record<string, unknown>;
  if (typeof code !== 'string' || !CODE.test(code)) return undefined;
  if (typeof message !== 'string' || Buffer.byteLength(message) > 1024) return undefined;
  if (retry !== undefined && typeof retry !== 'boolean') return undefined;
  return { code, message, data, retry };
}
