import type { Clock, Owned } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import { Owner, owned } from '../base/owner.ts';
import { Connection } from './connection.ts';
import { encode } from './encoder.ts';
import { Listeners } from './listeners.ts';
import { MatchRules } from './match-rules.ts';
import { NameOwners } from './name-owners.ts';
import { MAX_PENDING_CALLS, PendingCalls } from './pending-calls.ts';
import type { Dropped } from './safe-decoder.ts';
import { DBUS_NAME, DBUS_PATH, matchRule, type Signal, type SignalPattern, SignalRouter } from './signal-router.ts';
import { FLAG, type Head, type Incoming, MESSAGE, type Outgoing } from './wire.ts';

/**
 * dbus-daemon refuses a system service's or user's 129th call that waits for its answer (max_replies_per_connection
 * in system.conf); the ones beyond this wait here.
 */
const MAX_CALLS_AT_DAEMON = 100;

/** D-Bus' usual patience with a call, in milliseconds. */
export const CALL_TIMEOUT_MS = 25_000;

/** The bus daemon's own object. */
const BUS_OBJECT = { destination: DBUS_NAME, path: DBUS_PATH, interface: DBUS_NAME } as const;

const RECONNECT_FIRST_MS = 20;
const RECONNECT_MAX_MS = 2000;
/** A connection that lived this long resets the delay. */
const RECONNECT_RESET_MS = 1000;

export interface BusOptions {
  /** For messages and leak checks, say `system bus`. */
  readonly name: string;
  /** Unix sockets to try in turn. */
  readonly sockets: readonly string[];
  /** `bus`: a bus daemon with names and match rules. `peer`: one program at the other end, which is trusted. */
  readonly kind: 'bus' | 'peer';
  readonly clock: Clock;
  /** Gets what a handler of ours threw, and failures that nobody waits for. */
  readonly onDefect: (thrown: unknown) => void;
  /** Largest message that is accepted, in bytes (default 16 MiB). */
  readonly maxIncomingBytes?: number;
}

export interface CallParts {
  readonly destination?: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature?: string;
  readonly body?: readonly unknown[];
  readonly flags?: number;
}

/** What came and was not used; counts since the start. */
export interface BusCounters {
  /** Messages that could not be decoded, or claimed descriptors. */
  malformed: number;
  oversize: number;
  /** Signals that somebody waits for, but from another sender than expected. */
  spoofed: number;
  /** Answers nobody waits for (any more). */
  unsolicited: number;
  /** Answers and signals of ours that were not sent because the other end does not read. */
  unsent: number;
  /** Connections that were lost. */
  losses: number;
}

/** A wish for signals; it survives reconnections. */
export interface Subscription extends Owned {
  /** Resolves when signals are sure to arrive; rejects with the reason when the bus refuses. */
  readonly ready: Promise<void>;
}

/**
 * A connection to D-Bus that is always wanted: it is made again for ever, with its match rules. Calls end with
 * an answer or a Failure: BH501 the connection was lost or is not there, BH502 no answer in time, BH503 it
 * cannot be encoded, BH504 the other side refused (`dbusName` says how), BH507 too many at once.
 */
export class Bus implements Owned {
  readonly counters: BusCounters = { malformed: 0, oversize: 0, spoofed: 0, unsolicited: 0, unsent: 0, losses: 0 };
  /** The connection is usable, its match rules are in place. */
  readonly onUp: Listeners<void>;
  readonly onDown: Listeners<Failure>;
  /** Gets method calls of others; without one they are refused. */
  onCall: ((message: Incoming) => void) | undefined;

  readonly #options: BusOptions;
  readonly #owner: Owner;
  readonly #calls: PendingCalls;
  readonly #router: SignalRouter;
  readonly #owners: NameOwners;
  readonly #rules: MatchRules;
  /** Calls by serial that were not sent yet. */
  readonly #queue = new Map<number, Buffer>();
  #wanted = false;
  #connection: Connection | undefined;
  #retry: Owned | undefined;
  #attempts = 0;
  #delayMs = RECONNECT_FIRST_MS;
  #upSince: number | undefined;
  #uniqueName: string | undefined;

  /** Nothing happens before start(). */
  constructor(options: BusOptions) {
    this.#options = options;
    this.#owner = new Owner(options.name);
    this.#calls = new PendingCalls(options.clock, (serial) => {
      this.#queue.delete(serial);
      this.#sendQueued();
    });
    this.#router = new SignalRouter(options.onDefect);
    this.onUp = new Listeners(options.onDefect);
    this.onDown = new Listeners(options.onDefect);
    const request = (parts: CallParts) => this.#request(parts, CALL_TIMEOUT_MS, true);
    this.#rules = new MatchRules(
      (member, rule) => request({ ...BUS_OBJECT, member, signature: 's', body: [rule] }),
      (reason) => this.#connection?.fail(reason),
    );
    this.#owners = new NameOwners(this.#rules, this.#router, request, options.onDefect);
  }

  get name(): string {
    return this.#options.name;
  }

  get kind(): 'bus' | 'peer' {
    return this.#options.kind;
  }

  get up(): boolean {
    return this.#upSince !== undefined;
  }

  /** Another number for each connection: unique names of an earlier one may belong to somebody else by now. */
  get epoch(): number {
    return this.#attempts;
  }

  /** Our unique name, while the connection is up; a peer has none. */
  get uniqueName(): string | undefined {
    return this.#uniqueName;
  }

  /** Calls that wait for an answer now. */
  get pendingCalls(): number {
    return this.#calls.size;
  }

  /** Match rules that the bus holds for us, each counted once. */
  get matchRules(): number {
    return this.#rules.size;
  }

  /** Connects, and keeps connecting; does nothing when already started. */
  start(): void {
    if (this.#wanted || this.#owner.released) return;
    this.#wanted = true;
    this.#delayMs = RECONNECT_FIRST_MS;
    this.#connect();
  }

  /** Closes the connection and stays away until the next start(). Subscriptions are kept. */
  stop(): void {
    if (!this.#wanted) return;
    this.#wanted = false;
    const connection = this.#connection;
    if (this.#retry !== undefined) this.#owner.drop(this.#retry);
    if (connection !== undefined) this.#lose(connection, new Failure('BH501', `${this.name} was closed by us`));
  }

  release(): void {
    this.stop();
    this.#rules.release();
    this.#owner.release();
    this.onUp.clear();
    this.onDown.clear();
  }

  /** Resolves when up. @throws Failure BH505 when that takes longer than `timeoutMs`. */
  whenUp(timeoutMs: number): Promise<void> {
    if (this.up) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiting = this.#owner.own(new Owner(`wait for ${this.name}`));
      const failed = (reason: string) => {
        reject(new Failure('BH505', `${this.name}: ${reason}`));
        this.#owner.drop(waiting);
      };
      waiting.own(owned(() => reject(new Failure('BH505', `${this.name}: given up`))));
      waiting.own(this.#options.clock.after(timeoutMs, () => failed(`not connected within ${timeoutMs} ms`)));
      waiting.own(
        this.onUp.add(() => {
          resolve();
          this.#owner.drop(waiting);
        }),
      );
    });
  }

  /**
   * Calls a method and returns the answer's arguments.
   * @param timeoutMs milliseconds to wait for the answer, 25 s unless given.
   * @throws Failure as the class comment says; nothing of a call that was refused here is sent or kept.
   */
  async call(parts: CallParts, options: { readonly timeoutMs?: number } = {}): Promise<unknown[]> {
    return this.#request(parts, options.timeoutMs ?? CALL_TIMEOUT_MS, this.up);
  }

  /**
   * Sends an answer or a signal. When the connection is away or does not take it, the message is lost.
   * @throws Failure BH503 when it cannot be encoded.
   */
  send(message: Outgoing): void {
    const bytes = encode(message, this.#calls.nextSerial());
    try {
      if (this.#connection === undefined || !this.up) throw new Failure('BH501', `${this.name} is not connected`);
      this.#connection.send(bytes);
    } catch {
      this.counters.unsent += 1;
    }
  }

  /** Answers a call with an error, unless the caller wants no answer. Never throws. */
  refuse(call: Head, errorName: string, text: string): void {
    if ((call.flags & FLAG.noReplyExpected) !== 0) return;
    const reply = { type: MESSAGE.error, errorName, replySerial: call.serial, destination: call.sender };
    try {
      this.send({ ...reply, signature: 's', body: [text.replaceAll('\0', '')] });
    } catch {
      this.counters.unsent += 1; // a peer may give a sender that is no name
    }
  }

  /** Wants signals from now on. Releasing it takes the match rule back when it was the last with that rule. */
  subscribe(pattern: SignalPattern, run: (signal: Signal) => void): Subscription {
    const entry = this.#router.add({ pattern, run });
    if (this.kind === 'peer') return { ready: Promise.resolve(), release: () => entry.release() };
    const rule = matchRule(pattern);
    const sender = this.#owners.track(pattern.sender);
    const added = this.#rules.use(rule);
    const ready = Promise.all([sender.ready, added]).then(() => undefined);
    ready.catch(() => undefined);
    const subscription = owned(() => {
      entry.release();
      this.#rules.drop(rule);
      sender.release();
    });
    return { ready, release: () => subscription.release() };
  }

  /** Follows who owns a well-known name; `changed` hears of each change, undefined: nobody. */
  trackOwner(name: string, changed: (owner: string | undefined) => void): Subscription {
    return this.#owners.track(name, changed);
  }

  /** The present owner of a name that is tracked. */
  ownerOf(name: string): string | undefined {
    return this.#owners.ownerOf(name);
  }

  #connect(): void {
    this.#retry = undefined;
    const sockets = this.#options.sockets;
    const path = sockets[this.#attempts % sockets.length];
    if (path === undefined) return;
    this.#attempts += 1;
    const connection: Connection = new Connection({
      path,
      clock: this.#options.clock,
      maxIncomingBytes: this.#options.maxIncomingBytes ?? 16 * 1024 * 1024,
      onOpen: () => {
        this.#open(connection).catch((thrown: unknown) => connection.fail(asFailure(thrown).message));
      },
      onMessage: (message) => this.#receive(message),
      onDropped: (why, head) => this.#dropped(why, head),
      onClosed: (reason) => this.#lose(connection, reason),
    });
    this.#connection = this.#owner.own(connection);
  }

  /** Authenticated: becomes a client of the bus, asks for all that was asked for before, then is up. */
  async #open(connection: Connection): Promise<void> {
    if (this.kind === 'bus') {
      const [name] = await this.#request({ ...BUS_OBJECT, member: 'Hello' }, CALL_TIMEOUT_MS, true);
      if (this.#connection !== connection) return;
      this.#uniqueName = String(name);
      await this.#rules.connected();
      await this.#owners.refresh();
    }
    if (this.#connection !== connection) return;
    this.#upSince = this.#options.clock.now();
    this.onUp.emit();
  }

  #lose(connection: Connection, reason: Failure): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.#owner.drop(connection);
    const since = this.#upSince;
    this.#upSince = undefined;
    this.#uniqueName = undefined;
    this.#rules.disconnected();
    this.#owners.forget();
    this.#calls.failAll(reason);
    if (this.#wanted) {
      if (since !== undefined && this.#options.clock.now() - since >= RECONNECT_RESET_MS)
        this.#delayMs = RECONNECT_FIRST_MS;
      this.#retry = this.#owner.own(
        this.#options.clock.after(this.#delayMs, () => {
          if (this.#retry !== undefined) this.#owner.drop(this.#retry);
          this.#connect();
        }),
      );
      this.#delayMs = Math.min(this.#delayMs * 2, RECONNECT_MAX_MS);
    }
    if (since !== undefined) {
      this.counters.losses += 1;
      this.onDown.emit(reason);
    }
  }

  #receive(message: Incoming): void {
    switch (message.head.type) {
      case MESSAGE.return:
      case MESSAGE.error:
        if (!this.#calls.settle(message)) this.counters.unsolicited += 1;
        break;
      case MESSAGE.signal: {
        const routed = this.#router.route(message, (expected, actual) => this.#trusted(expected, actual));
        if (routed === 'spoofed' || routed === 'malformed') this.counters[routed] += 1;
        break;
      }
      case MESSAGE.call:
        this.#serve(message);
        break;
      default:
        break; // The specification asks to ignore types that are not known.
    }
  }

  #trusted(expected: string, actual: string | undefined): boolean {
    if (this.kind === 'peer') return true;
    if (actual === undefined) return false;
    return actual === expected || actual === this.#owners.ownerOf(expected);
  }

  #serve(message: Incoming): void {
    if (this.onCall !== undefined) {
      try {
        this.onCall(message);
      } catch (thrown) {
        this.#options.onDefect(thrown);
      }
      return;
    }
    this.refuse(message.head, 'org.freedesktop.DBus.Error.AccessDenied', 'this program offers nothing here');
  }

  #dropped(why: Dropped, head: Head | undefined): void {
    this.counters[why] += 1;
    if (head === undefined) return;
    if (head.replySerial !== undefined) this.#calls.settleUnreadable(head);
    if (head.type !== MESSAGE.call) return;
    if (why === 'oversize') this.refuse(head, 'org.freedesktop.DBus.Error.LimitsExceeded', 'the message is too large');
    else this.refuse(head, 'org.freedesktop.DBus.Error.InvalidArgs', 'descriptors are not accepted');
  }

  async #request(parts: CallParts, timeoutMs: number, usable: boolean): Promise<unknown[]> {
    const serial = this.#calls.nextSerial();
    const bytes = encode({ type: MESSAGE.call, ...parts }, serial);
    if (this.#connection === undefined || !usable)
      throw new Failure('BH501', `${parts.member}: ${this.name} is not connected`);
    if (this.#calls.size >= MAX_PENDING_CALLS) {
      throw new Failure('BH507', `${parts.member}: ${MAX_PENDING_CALLS} calls wait for ${this.name} already`);
    }
    this.#queue.set(serial, bytes);
    const answer = this.#calls.wait(serial, parts.member, parts.destination, timeoutMs);
    this.#sendQueued();
    return answer;
  }

  #sendQueued(): void {
    const most = this.kind === 'bus' ? MAX_CALLS_AT_DAEMON : MAX_PENDING_CALLS;
    for (const [serial, bytes] of this.#queue) {
      if (this.#calls.size - this.#queue.size >= most) return;
      this.#queue.delete(serial);
      try {
        this.#connection?.send(bytes);
      } catch (thrown) {
        this.#calls.fail(serial, asFailure(thrown));
      }
    }
  }
}
