import { readError } from '../wire/error-value.ts';
import { MOST_OPEN_CREDIT } from '../wire/limits.ts';
import type { Meta } from '../wire/meta.ts';
import type { CallRules } from './call-rules.ts';
import type { Outcome, Trial } from './health.ts';
import type { Link, Loss, Pending } from './link.ts';
import type { Peer } from './peer.ts';

/** Whose attempt it is. */
export interface Caller {
  readonly method: string;
  readonly rules: CallRules;
  /** When its time is over; monotonic ms, or Infinity. */
  readonly deadline: number;
  answered(attempt: Attempt, error: unknown, result: unknown, now: number): void;
  /** @returns false when there was no credit for it. */
  item(value: unknown, now: number): boolean;
  lost(attempt: Attempt, loss: Loss): void;
  /** Looks whether its time is over, or it is to be tried elsewhere, too. @param shunned where it is, nothing new is sent. */
  tick(now: number, shunned: boolean): void;
}

/** One request for a call, in the hands of one sandbox; it lasts until there is a response, even if nobody waits for it. */
export class Attempt implements Pending {
  readonly peer: Peer;
  readonly #caller: Caller;
  readonly #link: Link;
  readonly #sentAt: number;
  /** Time that this process had lost by then, ms. */
  readonly #lostMs: number;
  #id = -1;
  #trial: Trial;
  /** The sandbox has been heard of since. */
  #heard = false;
  #slow = false;
  #silent = false;
  #abandoned = false;
  /** Parts that came since. */
  #strays = 0;

  constructor(caller: Caller, peer: Peer, link: Link, now: number) {
    this.#caller = caller;
    this.peer = peer;
    this.#link = link;
    this.#sentAt = now;
    this.#lostMs = peer.time.lostMs;
    this.#trial = peer.health.spotless ? 'none' : peer.health.begin(caller.method, now);
  }

  get abandoned(): boolean {
    return this.#abandoned;
  }

  /** Parts of a stream come one by one. */
  get sendsParts(): boolean {
    return this.#link.has('stream');
  }

  /** @throws NotSendable; it has told nothing about the sandbox then. */
  send(params: readonly unknown[], meta: Meta): void {
    try {
      this.#id = this.#link.request(this, this.#caller.method, params, meta);
    } catch (error) {
      this.#note('nothing', this.#sentAt);
      throw error;
    }
    this.peer.calls++;
  }

  /** Nobody waits for the answer any more. */
  abandon(): void {
    if (this.#abandoned) return;
    this.#abandoned = true;
    this.#link.cancel(this.#id);
  }

  credit(parts: number): void {
    this.#link.credit(this.#id, parts);
  }

  answered(error: unknown, result: unknown): void {
    const now = performance.now();
    this.#judge(error, now);
    if (!this.#abandoned) this.#caller.answered(this, error, result, now);
  }

  item(value: unknown): boolean {
    const now = performance.now();
    if (!this.#heard) {
      this.#heard = true;
      this.#note(this.#slow ? 'late' : 'in-time', now);
    }
    if (!this.#abandoned) return this.#caller.item(value, now);
    // What was on its way when it was given up; more than can have been is not.
    this.#strays++;
    return this.#strays <= MOST_OPEN_CREDIT;
  }

  lost(loss: Loss): void {
    if (!this.#silent) this.#note(this.peer.lossTells(loss), performance.now());
    if (!this.#abandoned) this.#caller.lost(this, loss);
  }

  /** A stream has stopped in the middle. */
  fellSilent(now: number): void {
    if (this.#silent) return;
    this.#silent = true;
    this.#note('silent', now);
  }

  /** Looks what time says of it; called every few milliseconds. */
  tick(now: number): void {
    if (!this.#heard) {
      const long = this.#isLong(now);
      if (long) this.#countSlow(now);
      if (long && now >= this.#caller.deadline) this.fellSilent(now);
    }
    if (!this.#abandoned) this.#caller.tick(now, this.#slow && !this.peer.health.admits(this.#caller.method, now));
  }

  #judge(error: unknown, now: number): void {
    if (this.#heard) return;
    this.#heard = true;
    const inTime = !this.#isLong(now);
    const code = error === null ? undefined : readError(error).code;
    if (code === 'deadline-exceeded') {
      if (inTime) this.#note('nothing', now);
      else this.fellSilent(now);
    } else if (code === 'overloaded' || code === 'cancelled') this.#note('nothing', now);
    else if (inTime) this.#note('in-time', now);
    else {
      this.#countSlow(now);
      this.#note('late', now);
    }
  }

  #isLong(now: number): boolean {
    return now - this.#sentAt - (this.peer.time.lostMs - this.#lostMs) >= this.#caller.rules.slowMs;
  }

  #countSlow(now: number): void {
    if (this.#slow) return;
    this.#slow = true;
    this.#note('slow', now);
  }

  #note(outcome: Outcome, now: number): void {
    const { health } = this.peer;
    if (outcome === 'in-time' && health.spotless) return;
    const trial = this.#trial;
    // Whatever comes later of a request that was a trial decides nothing more.
    this.#trial = 'none';
    health.note(outcome, this.#caller.method, trial, now, () => this.peer.othersFor(this.#caller.method, now));
  }
}
