import type { Socket } from 'node:net';
import { encodeFrame } from '../wire/codec.ts';
import { Connection } from '../wire/connection.ts';
import { type ErrorValue, writeError } from '../wire/error-value.ts';
import { type Feature, PROTOCOL, readClientGreeting, type ServerGreeting } from '../wire/greeting.ts';
import { BARE_FRAME_LIMIT, FIRST_FRAME_LIMIT, LENGTH_BYTES, MOST_CREDIT, MOST_OPEN_CREDIT } from '../wire/limits.ts';
import { isId, type Message, type Notification, type Request } from '../wire/message.ts';
import type { Meta } from '../wire/meta.ts';
import { BadFrame, NotSendable } from '../wire/wire-error.ts';
import type { Activity } from './activity.ts';
import { type AbortCode, RunningCall } from './call.ts';
import type { Deadlines } from './deadlines.ts';
import type { Methods, Registered } from './methods.ts';
import { PluginError } from './plugin-error.ts';
import { collectParts, dropParts, sendParts } from './stream-run.ts';

const FEATURES: readonly Feature[] = ['cancel', 'stream', 'drain', 'ping'];
/** Beyond so many bytes that a peer does not read, nothing more is read from it, and streams to it wait. */
const HIGH_BYTES = 1024 * 1024;
/** A response takes at most so many bytes besides its result. */
const RESPONSE_BYTES = 16;

/** What all connections of a plugin share. */
export interface PeerHost {
  readonly methods: Methods;
  readonly activity: Activity;
  readonly deadlines: Deadlines;
  /** Requests at a time, of one connection. */
  readonly window: number;
  /** What the server says of itself, besides `protocol`, `features` and `window`. */
  readonly greeting: ServerFacts;
  /** Methods that have not come back, of all connections, and how many that may be. */
  inHand: number;
  readonly mostInHand: number;
  readonly draining: boolean;
  /** A method threw what is not meant for its caller alone. */
  threw(method: string, error: unknown): void;
  /** This one does not read what was answered. */
  filled(peer: Peer): void;
  /** Its connection has ended. */
  left(peer: Peer): void;
}

export type ServerFacts = Pick<ServerGreeting, 'frame' | 'plugin' | 'version' | 'sandbox' | 'sdk'>;

/** One connection, as the plugin sees it. */
export class Peer {
  readonly #host: PeerHost;
  readonly #connection: Connection;
  readonly #running = new Map<number, RunningCall>();
  /** Notifications that are being worked on, and those that wait for one of them to end. */
  readonly #noticed = new Set<RunningCall>();
  readonly #waiting: Notification[] = [];
  /** Methods of requests that have not come back, also those of calls that are over. */
  #inHand = 0;
  #asked = false;
  #greeted = false;
  #features: readonly Feature[] = [];
  #name = '';
  #quietSince = performance.now();
  #full = false;

  constructor(socket: Socket, host: PeerHost) {
    this.#host = host;
    this.#connection = new Connection({
      socket,
      limit: FIRST_FRAME_LIMIT,
      takesBare: true,
      message: (message) => this.#message(message),
      drained: () => this.#drained(),
      closed: () => this.#closed(),
    });
  }

  /** Bytes that it has not read. */
  get backlog(): number {
    return this.#connection.backlog;
  }

  /** Bytes that it has read; for telling whether it gets on. */
  get taken(): number {
    return this.#connection.taken;
  }

  get isFull(): boolean {
    return this.#full;
  }

  /** Since when nothing of it has been in hand, in milliseconds of performance.now(); undefined while something is. */
  get quietSince(): number | undefined {
    return this.#inHand === 0 && this.#noticed.size === 0 ? this.#quietSince : undefined;
  }

  /** Whether it will go by itself when it is told that we stop. */
  get knowsDraining(): boolean {
    return this.#features.includes('drain');
  }

  tellDraining(): void {
    if (this.knowsDraining) this.#connection.send([2, '$drain', []]);
  }

  /** Ends the connection behind what was answered. */
  end(): void {
    this.#connection.end();
  }

  destroy(reason: Error): void {
    this.#connection.destroy(reason);
  }

  #message(message: Message): void {
    if (message.kind === 'request') this.#request(message);
    else if (message.kind === 'notification') this.#notification(message);
    else throw new BadFrame('a response to a server');
  }

  #request(request: Request): void {
    const { id, method, params } = request;
    if (this.#running.has(id)) throw new BadFrame(`a second request with the id ${id}`);
    const first = !this.#asked;
    this.#asked = true;
    if (method === '$hello') return this.#hello(id, params, first);
    if (method === '$ping') return this.#send(id, null, null);
    const registered = this.#host.methods.get(method);
    if (registered === undefined) return this.#refuse(id, 'unknown-method', `there is no method '${method}'`);
    if (this.#inHand >= this.#host.window || this.#host.inHand >= this.#host.mostInHand)
      return this.#refuse(id, 'overloaded', `${this.#host.window} calls are in hand`, { retry: true });
    const call = this.#newCall(method, request.meta);
    this.#running.set(id, call);
    call.expired = () => this.#abort(id, call, 'deadline-exceeded');
    const streams = request.meta.stream !== undefined && this.#features.includes('stream');
    void this.#run(id, call, registered, params, streams);
  }

  async #run(
    id: number,
    call: RunningCall,
    registered: Registered,
    params: readonly unknown[],
    streams: boolean,
  ): Promise<void> {
    this.#inHand += 1;
    this.#host.inHand += 1;
    try {
      const outcome =
        registered.kind === 'method'
          ? registered.run(call, ...params)
          : this.#parts(id, call, registered.run(call, ...params), streams);
      // A turn of the loop for each call would be a large part of a small one.
      const result = outcome instanceof Promise ? await outcome : outcome;
      if (!call.over) this.#succeed(id, call, result);
    } catch (error) {
      if (!call.over) this.#fail(id, call, error);
    } finally {
      this.#inHand -= 1;
      this.#cameBack();
    }
  }

  #parts(
    id: number,
    call: RunningCall,
    parts: AsyncIterable<unknown> | Iterable<unknown>,
    streams: boolean,
  ): Promise<unknown> {
    const limit = this.#connection.isBare ? BARE_FRAME_LIMIT : this.#connection.peerLimit;
    const sizeOf = (value: unknown) => encodeFrame(value, limit).length - LENGTH_BYTES;
    if (!streams) return collectParts(parts, call, sizeOf, limit - RESPONSE_BYTES);
    const isFull = () => this.#full;
    return sendParts(parts, call, {
      item: (value) => {
        this.#connection.send([2, '$item', [id, value]]);
        this.#look();
      },
      get hasRoom() {
        return !isFull();
      },
    });
  }

  #succeed(id: number, call: RunningCall, result: unknown): void {
    try {
      this.#send(id, null, result);
    } catch (error) {
      return this.#fail(id, call, error);
    }
    this.#running.delete(id);
    call.finish(true);
  }

  #fail(id: number, call: RunningCall, error: unknown): void {
    this.#running.delete(id);
    call.finish(false);
    const value = errorValueOf(error);
    if (value.code === 'failed' && !(error instanceof PluginError)) this.#host.threw(call.method, error);
    try {
      this.#send(id, writeError(value), null);
    } catch (unsendable) {
      if (!(unsendable instanceof NotSendable)) throw unsendable;
      const { code, message } = value;
      this.#send(
        id,
        writeError({ code, message: `${message} (its data cannot be sent: ${unsendable.message})` }),
        null,
      );
    }
  }

  /** The caller gets its answer at once; the method may go on for a while, and stays in hand. */
  #abort(id: number, call: RunningCall, code: AbortCode): void {
    if (call.over) return;
    this.#running.delete(id);
    call.abort(code);
    const message = code === 'cancelled' ? 'ended because the caller wished it' : 'not done in time';
    this.#send(id, writeError({ code, message }), null);
  }

  #refuse(id: number, code: string, message: string, more: Partial<ErrorValue> = {}): void {
    this.#send(id, writeError({ code, message, ...more }), null);
  }

  #send(id: number, error: ErrorValue | null, result: unknown): void {
    this.#connection.send([1, id, error, result]);
    this.#look();
  }

  #hello(id: number, params: readonly unknown[], first: boolean): void {
    const greeting = readClientGreeting(params);
    if (typeof greeting === 'string') return this.#refuse(id, 'bad-params', greeting);
    if (!first) return this.#refuse(id, 'bad-params', 'a greeting comes first, and once');
    if (greeting.protocol !== PROTOCOL)
      return this.#refuse(id, 'unsupported-protocol', 'protocol 1 is spoken here', { data: { protocol: [PROTOCOL] } });
    this.#greeted = true;
    this.#features = greeting.features;
    this.#name = greeting.name;
    this.#send(id, null, { ...this.#host.greeting, protocol: PROTOCOL, features: FEATURES, window: this.#host.window });
    this.#connection.peerLimit = greeting.frame;
    this.#connection.limit = this.#host.greeting.frame;
    if (this.#host.draining) this.tellDraining();
  }

  #notification(notification: Notification): void {
    const { method, params } = notification;
    if (method === '$close') return this.#connection.end();
    if (method === '$cancel') {
      if (!this.#greeted) return;
      const call = this.#running.get(idOf(params, 1));
      if (call !== undefined) this.#abort(params[0] as number, call, 'cancelled');
    } else if (method === '$credit') {
      if (!this.#greeted) return;
      this.#credit(this.#running.get(idOf(params, 2)), params[1]);
    } else if (this.#waiting.length > 0 || this.#noticed.size >= this.#host.window) {
      this.#waiting.push(notification);
      this.#connection.pause();
    } else this.#notice(notification);
  }

  #credit(call: RunningCall | undefined, more: unknown): void {
    if (typeof more !== 'number' || !Number.isInteger(more) || more < 1 || more > MOST_CREDIT)
      throw new BadFrame(`credit that is not an integer from 1 to ${MOST_CREDIT}`);
    if (call === undefined) return;
    if (call.credit + more > MOST_OPEN_CREDIT) throw new BadFrame(`more than ${MOST_OPEN_CREDIT} parts of credit`);
    call.credit += more;
    call.wake?.();
  }

  /** Runs a method that nobody waits for; so it goes on when the connection has ended. */
  #notice(notification: Notification): void {
    const registered = this.#host.methods.get(notification.method);
    if (registered === undefined) return;
    const call = this.#newCall(notification.method, {});
    this.#noticed.add(call);
    this.#host.inHand += 1;
    void this.#runUnanswered(call, registered, notification.params).finally(() => {
      this.#noticed.delete(call);
      this.#cameBack();
      const next = this.#waiting.shift();
      if (next !== undefined) this.#notice(next);
      if (this.#waiting.length === 0 && !this.#full) this.#connection.resume();
    });
  }

  async #runUnanswered(call: RunningCall, registered: Registered, params: readonly unknown[]): Promise<void> {
    let well = false;
    try {
      if (registered.kind === 'method') await registered.run(call, ...params);
      else await dropParts(registered.run(call, ...params), call);
      well = true;
    } catch (error) {
      if (!(error instanceof PluginError)) this.#host.threw(call.method, error);
    }
    call.finish(well);
  }

  #newCall(method: string, meta: Meta): RunningCall {
    const { activity, deadlines } = this.#host;
    return new RunningCall(method, meta, { activity, deadlines, greeted: this.#greeted, client: this.#name });
  }

  #cameBack(): void {
    this.#host.inHand -= 1;
    if (this.#inHand === 0 && this.#noticed.size === 0) this.#quietSince = performance.now();
  }

  /** What a peer does not read must not pile up: it is not listened to until it has. */
  #look(): void {
    if (this.#connection.backlog <= HIGH_BYTES || this.#connection.ended) return;
    if (!this.#full) this.#connection.pause();
    this.#full = true;
    this.#host.filled(this);
  }

  #drained(): void {
    if (!this.#full) return;
    this.#full = false;
    if (this.#waiting.length === 0) this.#connection.resume();
    for (const call of this.#running.values()) call.wake?.();
  }

  #closed(): void {
    this.#full = false;
    const calls = [...this.#running.values()];
    this.#running.clear();
    for (const call of calls) call.abort('cancelled');
    this.#host.left(this);
  }
}

function idOf(params: readonly unknown[], count: number): number {
  const [id] = params;
  if (params.length !== count || !isId(id)) throw new BadFrame('a notification of the protocol with other parameters');
  return id;
}

function errorValueOf(error: unknown): ErrorValue {
  if (error instanceof PluginError) {
    const { code, message, data, retry } = error;
    return { code, message, data, retry };
  }
  if (error instanceof NotSendable) {
    const code = error.code === 'too-large' ? 'too-large' : 'failed';
    return { code, message: `the result: ${error.message}` };
  }
  return { code: 'failed', message: error instanceof Error ? error.message : String(error) };
}
