import type { NetConnectOpts } from 'node:net';
import { connect, type Socket } from 'node:net';

/** One request that was not answered well. */
export interface LostRequest {
  /** `refused` nobody listened; `reset` or `closed` the connection ended with the request in it; `bad` a wrong answer. */
  readonly why: 'refused' | 'reset' | 'closed' | 'bad' | 'timeout';
  /** Milliseconds of performance.now(): when the connection was opened, and when the request was lost. */
  readonly connectedAt: number;
  readonly at: number;
  readonly detail: string;
}

export interface LoadResult {
  readonly ok: number;
  readonly lost: readonly LostRequest[];
  /** The longest time (ms) between two good answers of the whole load. */
  readonly longestGapMs: number;
}

export interface LoadOptions {
  readonly target: NetConnectOpts;
  readonly connections: number;
  /** Whether a connection serves many requests, or one. */
  readonly keepAlive: boolean;
  /** Pause (ms) of each connection between requests; 0 for as fast as answers come. */
  readonly thinkMs?: number;
  /** Told of each good answer, and how long (ms) it took. */
  readonly answered?: (latencyMs: number) => void;
  readonly lost?: (request: LostRequest) => void;
  /** End after so many requests in all; without it the load goes on until stop(). */
  readonly requests?: number;
}

/** A request that is not answered for so long (ms) is lost. */
const TIMEOUT_MS = 20_000;
/** So many more answers as are asked for come before (ms), on a busy machine, too. */
const MORE_MS = 45_000;

/**
 * A closed-loop HTTP/1.1 client that accounts for each request exactly: it never retries, and an end of a
 * connection counts as a loss only when a request was in it. Speaks just enough HTTP: GET, Content-Length.
 */
export class HttpLoad {
  readonly #options: LoadOptions;
  readonly #lost: LostRequest[] = [];
  #ok = 0;
  #begun = 0;
  #running = true;
  #lastOk = performance.now();
  #longestGap = 0;
  readonly #workers: Promise<void>[];

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#workers = Array.from({ length: options.connections }, () => this.#work());
  }

  get ok(): number {
    return this.#ok;
  }

  get lost(): number {
    return this.#lost.length;
  }

  /** Lets the requests that are under way end. */
  async stop(): Promise<LoadResult> {
    this.#running = false;
    return this.finished();
  }

  /** For a load with a number of requests. */
  async finished(): Promise<LoadResult> {
    await Promise.all(this.#workers);
    return { ok: this.#ok, lost: this.#lost, longestGapMs: this.#longestGap };
  }

  /** Resolves when `count` more requests have been answered well. */
  async more(count: number): Promise<void> {
    const goal = this.#ok + count;
    const until = performance.now() + MORE_MS;
    while (this.#ok < goal) {
      if (performance.now() > until)
        throw new Error(`only ${this.#ok} of ${goal} answers in time, ${this.#lost.length} lost`);
      await pause(5);
    }
  }

  #take(): boolean {
    if (!this.#running || this.#begun >= (this.#options.requests ?? Number.POSITIVE_INFINITY)) return false;
    this.#begun += 1;
    return true;
  }

  async #work(): Promise<void> {
    let exchange: Exchange | undefined;
    while (this.#take()) {
      // The server may have closed the idle connection meanwhile: no request was in it, a new one is opened.
      if (exchange === undefined || exchange.ended) exchange = new Exchange(this.#options.target);
      const askedAt = performance.now();
      const outcome = await exchange.request(this.#options.keepAlive);
      if (outcome.good) this.#answered(askedAt);
      else {
        const { why, detail } = outcome;
        this.#loses({ why, connectedAt: exchange.connectedAt, at: performance.now(), detail });
      }
      if (!outcome.reusable || !this.#options.keepAlive) {
        exchange.close();
        exchange = undefined;
      }
      // A refused connection is tried again, but not in a busy loop.
      if (!outcome.good) await pause(5);
      else if (this.#options.thinkMs !== undefined) await pause(this.#options.thinkMs);
    }
    exchange?.close();
  }

  #loses(request: LostRequest): void {
    this.#lost.push(request);
    this.#options.lost?.(request);
  }

  #answered(askedAt: number): void {
    this.#ok += 1;
    const now = performance.now();
    this.#options.answered?.(now - askedAt);
    this.#longestGap = Math.max(this.#longestGap, now - this.#lastOk);
    this.#lastOk = now;
  }
}

type Outcome =
  | { readonly good: true; readonly reusable: boolean }
  | { readonly good: false; readonly reusable: false; readonly why: LostRequest['why']; readonly detail: string };

/** One connection, with at most one request in it. */
class Exchange {
  readonly connectedAt = performance.now();
  readonly #socket: Socket;
  #received = '';
  #settle: ((outcome: Outcome) => void) | undefined;
  #ended: Outcome | undefined;

  /** Does not wait for the connection: a refusal is the outcome of its first request. */
  constructor(target: NetConnectOpts) {
    const socket = connect(target);
    this.#socket = socket;
    socket.on('data', (chunk) => this.#data(chunk.toString('latin1')));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const refused = error.code === 'ECONNREFUSED' || error.code === 'ENOENT';
      this.#end(refused ? 'refused' : 'reset', error.code ?? error.message);
    });
    socket.on('close', () => this.#end('closed', 'connection closed'));
    socket.setTimeout(TIMEOUT_MS, () => this.#end('timeout', `no answer for ${TIMEOUT_MS} ms`));
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  request(keepAlive: boolean): Promise<Outcome> {
    if (this.#ended !== undefined) return Promise.resolve(this.#ended);
    return new Promise((resolve) => {
      this.#settle = resolve;
      this.#socket.write(`GET /load HTTP/1.1\r\nHost: test\r\n${keepAlive ? '' : 'Connection: close\r\n'}\r\n`);
    });
  }

  close(): void {
    this.#settle = undefined;
    this.#socket.destroy();
  }

  #data(text: string): void {
    this.#received += text;
    const head = this.#received.indexOf('\r\n\r\n');
    if (head < 0) return;
    const header = this.#received.slice(0, head);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(header)?.[1] ?? Number.NaN);
    if (Number.isNaN(length)) return this.#end('bad', `no Content-Length in '${header.slice(0, 80)}'`);
    if (this.#received.length < head + 4 + length) return;
    if (!/^HTTP\/1\.[01] 200 /.test(header)) return this.#end('bad', header.slice(0, 80));
    this.#received = this.#received.slice(head + 4 + length);
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.({ good: true, reusable: !/\r\nconnection: *close/i.test(header) });
  }

  #end(why: LostRequest['why'], detail: string): void {
    const outcome: Outcome = { good: false, reusable: false, why, detail };
    this.#ended ??= outcome;
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(outcome);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
