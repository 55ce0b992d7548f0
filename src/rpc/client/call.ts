import { type ErrorValue, readError } from '../wire/error-value.ts';
import { MOST_DEADLINE_MS } from '../wire/limits.ts';
import type { Meta } from '../wire/meta.ts';
import { NotSendable } from '../wire/wire-error.ts';
import type { Attempt, Caller } from './attempt.ts';
import { CallError, type CallFacts } from './call-error.ts';
import type { CallRules } from './call-rules.ts';
import type { CallEvent } from './channels.ts';
import type { Loss } from './link.ts';
import type { Peer } from './peer.ts';
import { mayRepeat } from './retry.ts';

/** What a call needs of its client. */
export interface Switchboard {
  /** Sends the call to somebody, now or when somebody can take it, unless that takes too long. */
  place(call: Call, now: number): void;
  /** Sends it to somebody else, too, if there is one; once more, while it waits for an answer. */
  placeBeside(call: Call, why: 'hedge' | 'rescue'): void;
  /** Whether a call may be made once more, of all that may be. */
  affordsRepeat(): boolean;
  /** It is over. */
  finished(call: Call, error: CallError | undefined, now: number): void;
  /** Calls when it is known why a sandbox is not there any more, or when that takes too long. */
  whenNamed(peer: Peer, call: Call, told: (why: Death) => void): void;
  /** What is known of it now. */
  deathOf(peer: Peer): Death;
}

/** What is known of the end of a sandbox. */
export interface Death {
  readonly class?: string | undefined;
  readonly text?: string | undefined;
  readonly incident?: string | undefined;
}

/** Most calls are made once: they share it. */
const NONE: readonly Peer[] = [];

/** A call, from when it is made until its caller knows how it ended. */
export abstract class Call implements Caller {
  readonly method: string;
  readonly rules: CallRules;
  readonly startedAt: number;
  readonly deadline: number;
  /** Called when it is over: what hangs on it is let go. */
  released: (() => void) | undefined;
  /** What was told of it, if anybody listens. */
  event: CallEvent | undefined;
  protected readonly board: Switchboard;
  protected params: readonly unknown[];
  /** That which may still answer; and a second one, when it was hedged. */
  protected attempt: Attempt | undefined;
  #beside: Attempt | undefined;
  /** Who has had it, the last and those before. */
  #lastPeer: Peer | undefined;
  #earlierPeers: readonly Peer[] = NONE;
  #attempts = 0;
  #over = false;
  /** Somebody had it in his hands, and did not say that he has not begun. */
  #mayHaveRun = false;

  constructor(board: Switchboard, method: string, params: readonly unknown[], rules: CallRules, now: number) {
    this.board = board;
    this.method = method;
    this.params = params;
    this.rules = rules;
    this.startedAt = now;
    this.deadline = now + rules.timeoutMs;
  }

  /** Its caller knows how it ended. */
  get over(): boolean {
    return this.#over;
  }

  /** Requests that were sent for it. */
  get attempts(): number {
    return this.#attempts;
  }

  /** Of whoever had it last. */
  get generation(): number | undefined {
    return this.#lastPeer?.generation;
  }

  /** Whether the method may have run. */
  get begun(): 'no' | 'unknown' {
    return this.#mayHaveRun || this.attempt !== undefined ? 'unknown' : 'no';
  }

  /** Who has had it is asked again only if nobody else is there. */
  wasWith(peer: Peer): boolean {
    return this.#lastPeer === peer || this.#earlierPeers.includes(peer);
  }

  /** It may be sent once more while it waits for an answer. */
  get mayRunTwice(): boolean {
    return !this.#over && this.rules.idempotent && this.#attempts <= this.rules.retries;
  }

  protected abstract deliver(result: unknown): void;
  protected abstract refuse(error: CallError): void;

  /** A part came. @returns false when there was no credit for it. */
  abstract item(value: unknown, now: number): boolean;

  /** Sends it. A call that cannot be sent is over. */
  send(attempt: Attempt, now: number): void {
    if (this.#lastPeer !== undefined) this.#earlierPeers = [...this.#earlierPeers, this.#lastPeer];
    this.#lastPeer = attempt.peer;
    this.#attempts++;
    try {
      attempt.send(this.params, this.meta(now));
    } catch (error) {
      if (!(error instanceof NotSendable)) throw error;
      const code = error.code === 'too-large' ? 'too-large' : 'bad-params';
      this.fail(this.#error(code, error.message, { cause: error }));
      return;
    }
    if (this.attempt === undefined) this.attempt = attempt;
    else this.#beside = attempt;
  }

  answered(attempt: Attempt, error: unknown, result: unknown, now: number): void {
    this.#drop(attempt);
    if (error === null) {
      this.finish(undefined, now);
      this.deliver(result);
    } else this.#refused(attempt, readError(error), now);
  }

  lost(attempt: Attempt, loss: Loss): void {
    this.#drop(attempt);
    this.#mayHaveRun = true;
    if (this.attempt !== undefined || this.#over) return;
    if (loss.code !== 'closed' && this.#repeats('unknown', true)) return;
    const { peer } = attempt;
    if (loss.code !== 'sandbox-died') this.fail(this.#lossError(peer, loss, this.board.deathOf(peer)));
    else
      this.board.whenNamed(peer, this, (why) => {
        if (!this.#over) this.fail(this.#lossError(peer, loss, why));
      });
  }

  tick(now: number, shunned: boolean): void {
    if (this.#over) return;
    if (now >= this.deadline) this.expire(`no answer within ${Math.round(this.rules.timeoutMs)} ms`);
    else if (this.#beside === undefined && (shunned || now - this.startedAt >= this.rules.hedgeAfterMs))
      this.board.placeBeside(this, shunned ? 'rescue' : 'hedge');
  }

  /** Its time is over. */
  expire(message: string): void {
    this.fail(this.#error('deadline-exceeded', message));
  }

  /** Its caller does not want it any more. */
  abort(cause: unknown): void {
    this.fail(this.#error('cancelled', 'given up by its caller', { cause }));
  }

  fail(error: CallError): void {
    if (this.#over) return;
    this.finish(error, performance.now());
    this.refuse(error);
  }

  /** It is over: whoever still has it in his hands need not go on. */
  protected finish(error: CallError | undefined, now: number): void {
    this.#over = true;
    this.attempt?.abandon();
    this.#beside?.abandon();
    this.attempt = undefined;
    this.#beside = undefined;
    this.released?.();
    this.board.finished(this, error, now);
  }

  /** It can be made once more. */
  protected repeatable(): boolean {
    return true;
  }

  protected meta(now: number): Meta {
    const { idempotency, traceparent, tracestate, timeoutMs } = this.rules;
    const left =
      timeoutMs === Infinity ? undefined : Math.min(Math.max(1, Math.round(this.deadline - now)), MOST_DEADLINE_MS);
    if (idempotency === undefined && traceparent === undefined) return left === undefined ? {} : { deadline: left };
    return {
      ...(left === undefined ? {} : { deadline: left }),
      ...(idempotency === undefined ? {} : { idempotency }),
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(traceparent === undefined || tracestate === undefined ? {} : { tracestate }),
    };
  }

  #refused(attempt: Attempt, { code, message, data, retry }: ErrorValue, now: number): void {
    const begun = retry === true || code === 'unknown-method' || code === 'bad-params' ? 'no' : 'unknown';
    if (begun === 'unknown') this.#mayHaveRun = true;
    const elsewhere = retry === true || code === 'overloaded';
    // Another one may still have a better answer.
    if (elsewhere && this.attempt !== undefined) return;
    if (now < this.deadline && this.#repeats(begun, elsewhere)) return;
    this.fail(this.#error(code, message, { generation: attempt.peer.generation, data }));
  }

  #repeats(begun: 'no' | 'unknown', elsewhere: boolean): boolean {
    const failed = { begun, elsewhere, attempts: this.#attempts };
    if (!this.repeatable() || !mayRepeat(failed, this.rules) || !this.board.affordsRepeat()) return false;
    this.board.place(this, performance.now());
    return true;
  }

  #lossError(peer: Peer, loss: Loss, why: Death): CallError {
    const who = peer.generation === undefined ? 'the server' : `the sandbox of generation ${peer.generation}`;
    const code = why.class === undefined ? loss.code : 'sandbox-died';
    const end = why.text === undefined ? `ended: ${loss.message}` : `died: ${why.text}`;
    const incident = why.incident === undefined ? '' : `; incident ${why.incident}`;
    const { generation } = peer;
    const facts = { generation, class: why.class, incident: why.incident };
    return this.#error(code, `${who} that had the call in its hands ${end}${incident}`, facts);
  }

  #error(code: string, message: string, facts: Partial<CallFacts> = {}): CallError {
    const { method, begun } = this;
    return new CallError(code, message, { method, begun, generation: this.generation, ...facts });
  }

  #drop(attempt: Attempt): void {
    if (this.attempt === attempt) this.attempt = this.#beside;
    this.#beside = undefined;
  }
}
