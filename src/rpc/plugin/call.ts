import type { Meta } from '../wire/meta.ts';
import { type Activity, type Told, traceIdOf } from './activity.ts';
import type { Deadlines, HasDeadline } from './deadlines.ts';

/** What a method knows of its call, and may say about it. */
export interface Call {
  readonly method: string;
  /** Aborted when nobody waits for the answer any more: the caller cancelled or left, or the deadline is over. */
  readonly signal: AbortSignal;
  /** Milliseconds that are left, at least 0; undefined without a deadline. */
  readonly deadlineMs: number | undefined;
  /** The caller's W3C trace context, to be passed on to whomever the method calls. */
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  /** The same for all attempts at one call. */
  readonly idempotency: string | undefined;
  /** Whether the caller knows of docs/protocol.md, or sends plain MessagePack-RPC. */
  readonly greeted: boolean;
  /** Who the caller says it is; '' when it does not. */
  readonly client: string;
  /** This call takes long, and gets on: bulkhead sees it in the page of activity. */
  progress(): void;
  /** A line of the flight record, read back when the process has died; at most 208 bytes are kept. */
  note(text: string): void;
  /** The same, of what was done and for whom. */
  audit(text: string): void;
}

/** Why a call ends before its method does. */
export type AbortCode = 'cancelled' | 'deadline-exceeded';

export interface CallHost {
  readonly activity: Activity;
  readonly deadlines: Deadlines;
  readonly greeted: boolean;
  readonly client: string;
}

const NO_DEADLINE = 0n;
const NS_IN_MS = 1_000_000n;

/** One call in hand. */
export class RunningCall implements Call, HasDeadline, Told {
  readonly method: string;
  readonly started: bigint;
  readonly deadline: bigint;
  readonly trace: Buffer | undefined;
  /** Parts that may be sent; counted by streams only. */
  credit: number;
  /** Called when the call ends by its deadline. */
  expired: (() => void) | undefined;
  /** Called when there may be credit again, or the call is over. */
  wake: (() => void) | undefined;
  readonly #meta: Meta;
  readonly #host: CallHost;
  readonly #endsAt: number | undefined;
  #step = 0;
  #over = false;
  #aborted: AbortCode | undefined;
  #controller: AbortController | undefined;

  constructor(method: string, meta: Meta, host: CallHost) {
    this.method = method;
    this.#meta = meta;
    this.#host = host;
    this.credit = meta.stream ?? 0;
    this.started = process.hrtime.bigint();
    this.trace = traceIdOf(meta.traceparent);
    const { deadline } = meta;
    this.deadline = deadline === undefined ? NO_DEADLINE : this.started + BigInt(deadline) * NS_IN_MS;
    this.#endsAt = deadline === undefined ? undefined : performance.now() + deadline;
    if (this.#endsAt !== undefined) this.#step = host.deadlines.add(this, this.#endsAt);
    host.activity.begin(this);
  }

  /** Whether it was answered, or nobody waits for the answer. */
  get over(): boolean {
    return this.#over;
  }

  /** Made when somebody asks for it: it costs more than a small call. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted !== undefined) this.#controller.abort(abortError(this.#aborted));
    }
    return this.#controller.signal;
  }

  get deadlineMs(): number | undefined {
    return this.#endsAt === undefined ? undefined : Math.max(0, this.#endsAt - performance.now());
  }

  get traceparent(): string | undefined {
    return this.#meta.traceparent;
  }

  get tracestate(): string | undefined {
    return this.#meta.tracestate;
  }

  get idempotency(): string | undefined {
    return this.#meta.idempotency;
  }

  get greeted(): boolean {
    return this.#host.greeted;
  }

  get client(): string {
    return this.#host.client;
  }

  progress(): void {
    if (!this.#over) this.#host.activity.progressed();
  }

  note(text: string): void {
    this.#host.activity.line('note', text, this.trace);
  }

  audit(text: string): void {
    this.#host.activity.line('audit', text, this.trace);
  }

  /** It was answered, or will not be. @returns false when it was over already. */
  finish(well: boolean): boolean {
    if (this.#over) return false;
    this.#over = true;
    if (this.#endsAt !== undefined) this.#host.deadlines.remove(this, this.#step);
    this.#host.activity.end(this, well);
    return true;
  }

  /** Ends it before its method has; the method is told by its signal. */
  abort(code: AbortCode): void {
    if (!this.finish(false)) return;
    this.#aborted = code;
    this.#controller?.abort(abortError(code));
    this.wake?.();
  }

  expire(): void {
    this.expired?.();
  }
}

function abortError(code: AbortCode): Error {
  const name = code === 'cancelled' ? 'AbortError' : 'TimeoutError';
  return new DOMException(code === 'cancelled' ? 'the caller waits no more' : 'the deadline is over', name);
}
