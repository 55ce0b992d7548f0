import type { Socket } from 'node:net';
import { encodeFrame } from '../wire/codec.ts';
import { Connection } from '../wire/connection.ts';
import type { DescriptorSocket } from '../wire/descriptor-socket.ts';
import { type ErrorValue, writeError } from '../wire/error-value.ts';
import { type Feature, PROTOCOL, readClientGreeting, type ServerGreeting } from '../wire/greeting.ts';
import { BARE_FRAME_LIMIT, FIRST_FRAME_LIMIT, LENGTH_BYTES, MOST_CREDIT, MOST_OPEN_CREDIT } from '../wire/limits.ts';
import { isId, type Message, type Notification, type Request } from '../wire/message.ts';
import type { Meta } from '../wire/meta.ts';
import { BadFrame, NotSendable } from '../wire/wire-error.ts';
import type { Activity } from './activity.ts';
import { type AbortCode, RunningCall } from './call.ts';
import type { Deadlines } from './deadlines.ts';
import { errorAnswer } from './error-answer.ts';
import type { Methods, Registered } from './methods.ts';
import { Notices } from './notices.ts';
import { PluginError } from './plugin-error.ts';
import { collectParts, sendParts } from './stream-run.ts';

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
  /** Those of them that came as notifications; the plugin does not end before they have. */
  noticesInHand: number;
  readonly draining: boolean;
  /** A method threw what is not meant for its caller alone. */
  threw(method: string, error: unknown): void;
  noticeEnded(): void;
  /** This one does not read what was answered. */
  filled(peer: Peer): void;
  /** Its connection has ended. */
  left(peer: Peer): void;
}

export type ServerFacts = Pick<ServerGreeting, 'frame' | 'plugin' | 'version' | 'sandbox' | 'sdk'>;

interface Held {
  readonly request: Request;
  /** Of a stream, with what came for it meanwhile. */
  credit: number;
  /** Milliseconds of performance.now(). */
  readonly since: number;
}

/** One connection, as the plugin sees it. */
export class Peer {
  readonly #host: PeerHost;
  readonly #connection: Connection;
  readonly #running = new Map<number, RunningCall>();
  readonly #notices: Notices;
  /** Requests that came while it left answers unread; they are begun when it has read. */
  readonly #held: Held[] = [];
  /** Methods of requests that have not come back, also those of calls that are over. */
  #inHand = 0;
  #asked = false;
  #greeted = false;
  #features: readonly Feature[] = [];
  #name = '';
  #quietSince = performance.now();
  #full = false;

  constructor(socket: Socket | DescriptorSocket, host: PeerHost) {
    this.#host = host;
    this.#notices = new Notices({
      window: host.window,
      newCall: (method) => {
        host.inHand += 1;
        host.noticesInHand += 1;
        return this.#newCall(method, {});
      },
      threw: (method, error) => host.threw(method, error),
      ended: () => {
        this.#cameBack();
        host.noticeEnded();
        this.#readOn();
      },
    });
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
    return this.#connection.backlog - this.#connection.held;
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
    return this.#isQuiet ? this.#quietSince : undefined;
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
    const { id, method } = request;
    if (this.#running.has(id) || this.#held.some((each) => each.request.id === id))
      throw new BadFrame(`a second request with the id ${id}`);
    const first = !this.#asked;
    this.#asked = true;
    if (method === '$hello') return this.#hello(id, request.params, first);
    if (method === '$ping') return this.#send(id, null, null);
    const registered = this.#host.methods.get(method);
    if (registered === undefined) return this.#refuse(id, 'unknown-method', `there is no method '${method}'`);
    if (this.#inHand + this.#held.length >= this.#host.window || this.#host.inHand >= this.#host.mostInHand)
      return this.#refuse(id, 'overloaded', `${this.#host.window} calls are in hand`, { retry: true });
    if (this.#full) this.#held.push({ request, credit: request.meta.stream ?? 0, since: performance.now() });
    else this.#begin(request, registered, request.meta);
  }

  /** What came before it read again, as far as it reads. */
  #beginHeld(): void {
    while (!this.#full && !this.#connection.ended) {
      const next = this.#held.shift();
      if (next === undefined) return;
      const { request, credit, since } = next;
      const { id, method, meta } = request;
      const registered = this.#host.methods.get(method);
      if (registered === undefined) continue;
      const { deadline } = meta;
      const left = deadline === undefined ? undefined : Math.floor(deadline - (performance.now() - since));
      if (left !== undefined && left < 1) {
        this.#refuse(id, 'deadline-exceeded', 'not done in time', { retry: true });
        continue;
      }
      this.#begin(request, registered, left === undefined ? meta : { ...meta, deadline: left });
      const call = this.#running.get(id);
      if (call !== undefined) call.credit = credit;
    }
  }

  #begin(request: Request, registered: Registered, meta: Meta): void {
    const { id, method, params } = request;
    const call = this.#newCall(method, meta);
    this.#running.set(id, call);
    call.expired = () => this.#abort(id, call, 'deadline-exceeded');
    const streams = meta.stream !== undefined && this.#features.includes('stream');
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
    const value = errorAnswer(error);
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
    const features = this.#connection.canCarryBodies ? [...FEATURES, 'body'] : FEATURES;
    this.#send(id, null, { ...this.#host.greeting, protocol: PROTOCOL, features, window: this.#host.window });
    if (greeting.features.includes('body')) this.#connection.carryBodies();
    this.#connection.peerLimit = greeting.frame;
    this.#connection.limit = this.#host.greeting.frame;
    if (this.#host.draining) this.tellDraining();
  }

  #notification(notification: Notification): void {
    const { method, params } = notification;
    if (method === '$close') return this.#connection.end();
    if (method === '$cancel') {
      if (this.#greeted) this.#cancel(idOf(params, 1));
    } else if (method === '$credit') {
      if (this.#greeted) this.#credit(idOf(params, 2), params[1]);
    } else {
      const registered = this.#host.methods.get(method);
      if (registered === undefined) return;
      if (this.#host.inHand >= this.#host.mostInHand)
        return this.#connection.close('overloaded', 'too many notifications are in hand');
      this.#notices.take(notification, registered);
      if (this.#notices.areWaiting) this.#connection.pause();
    }
  }

  #cancel(id: number): void {
    const call = this.#running.get(id);
    if (call !== undefined) return this.#abort(id, call, 'cancelled');
    const held = this.#held.findIndex((each) => each.request.id === id);
    if (held < 0) return;
    this.#held.splice(held, 1);
    this.#refuse(id, 'cancelled', 'ended because the caller wished it', { retry: true });
  }

  #credit(id: number, more: unknown): void {
    if (typeof more !== 'number' || !Number.isInteger(more) || more < 1 || more > MOST_CREDIT)
      throw new BadFrame(`credit that is not an integer from 1 to ${MOST_CREDIT}`);
    const stream = this.#running.get(id) ?? this.#held.find((each) => each.request.id === id);
    if (stream === undefined) return;
    if (stream.credit + more > MOST_OPEN_CREDIT) throw new BadFrame(`more than ${MOST_OPEN_CREDIT} parts of credit`);
    stream.credit += more;
    if (stream instanceof RunningCall) stream.wake?.();
  }

  #newCall(method: string, meta: Meta): RunningCall {
    const { activity, deadlines } = this.#host;
    return new RunningCall(method, meta, { activity, deadlines, greeted: this.#greeted, client: this.#name });
  }

  #cameBack(): void {
    this.#host.inHand -= 1;
    if (this.#isQuiet) this.#quietSince = performance.now();
  }

  get #isQuiet(): boolean {
    return this.#inHand === 0 && this.#notices.running === 0 && this.#held.length === 0;
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
    for (const call of this.#running.values()) call.wake?.();
    this.#beginHeld();
    this.#readOn();
  }

  #readOn(): void {
    if (!this.#notices.areWaiting && !this.#full) this.#connection.resume();
  }

  #closed(): void {
    this.#full = false;
    this.#held.length = 0;
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
