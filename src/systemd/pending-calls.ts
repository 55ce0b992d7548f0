import type { Clock, Owned } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { Owner } from '../base/owner.ts';
import { type Head, type Incoming, MESSAGE } from './wire.ts';

/** Calls that may wait for an answer at once. */
export const MAX_PENDING_CALLS = 4096;

interface Pending {
  readonly what: string;
  /** Who alone may answer; undefined when the destination is a well-known name. */
  readonly answerer: string | undefined;
  readonly timer: Owned;
  readonly resolve: (body: unknown[]) => void;
  readonly reject: (failure: Failure) => void;
}

/** The calls that wait for an answer. Each ends exactly once: answer, error, time-out or loss. */
export class PendingCalls {
  readonly #clock: Clock;
  readonly #timers = new Owner('D-Bus calls');
  readonly #calls = new Map<number, Pending>();
  readonly #onEnd: (serial: number) => void;
  #serial = 0;

  /** `onEnd` hears of each call that no longer waits, whatever its end was. */
  constructor(clock: Clock, onEnd: (serial: number) => void) {
    this.#clock = clock;
    this.#onEnd = onEnd;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** The next serial that is not in use: 1 to 2^32-1, then again from 1. */
  nextSerial(): number {
    do this.#serial = this.#serial >= 0xffff_ffff ? 1 : this.#serial + 1;
    while (this.#calls.has(this.#serial));
    return this.#serial;
  }

  /**
   * Waits for the answer to the call with this serial.
   * @param what member and destination, for messages.
   */
  wait(serial: number, what: string, destination: string | undefined, timeoutMs: number): Promise<unknown[]> {
    return new Promise((resolve, reject) => {
      const expired = this.#clock.after(timeoutMs, () => {
        this.#forget(serial);
        reject(new Failure('BH502', `${what}: none within ${timeoutMs} ms`));
      });
      const timer = this.#timers.own(expired);
      const answerer = destination?.startsWith(':') || destination === 'org.freedesktop.DBus' ? destination : undefined;
      this.#calls.set(serial, { what, answerer, timer, resolve, reject });
    });
  }

  /** Gives an answer to who waits for it; false when nobody does (any more). */
  settle(message: Incoming): boolean {
    const call = this.#find(message.head);
    if (call === undefined) return false;
    let body: unknown[];
    try {
      body = message.body();
    } catch (thrown) {
      call.reject(new Failure('BH504', `${call.what}: the answer cannot be decoded`, { cause: thrown }));
      return true;
    }
    if (message.head.type === MESSAGE.error) call.reject(refusal(call.what, message.head, body));
    else call.resolve(body);
    return true;
  }

  /** The answer came but could not be kept. */
  settleUnreadable(head: Head): void {
    const call = this.#find(head);
    call?.reject(new Failure('BH504', `${call.what}: the answer cannot be decoded`));
  }

  fail(serial: number, failure: Failure): void {
    const call = this.#calls.get(serial);
    if (call === undefined) return;
    this.#forget(serial);
    call.reject(new Failure(failure.code, `${call.what}: ${failure.message}`, { cause: failure }));
  }

  failAll(failure: Failure): void {
    for (const serial of [...this.#calls.keys()]) this.fail(serial, failure);
  }

  #find(head: Head): Pending | undefined {
    const serial = head.replySerial;
    const call = serial === undefined ? undefined : this.#calls.get(serial);
    if (serial === undefined || call === undefined) return undefined;
    if (call.answerer !== undefined && head.sender !== undefined && head.sender !== call.answerer) return undefined;
    this.#forget(serial);
    return call;
  }

  #forget(serial: number): void {
    const call = this.#calls.get(serial);
    if (call === undefined) return;
    this.#calls.delete(serial);
    this.#timers.drop(call.timer);
    this.#onEnd(serial);
  }
}

function refusal(what: string, head: Head, body: readonly unknown[]): Failure {
  const dbusName = head.errorName ?? 'org.freedesktop.DBus.Error.Failed';
  const [text] = body;
  const reason = typeof text === 'string' && text !== '' ? text : dbusName;
  return new Failure('BH504', `${what}: ${reason}`, { dbusName });
}
