import { createConnection, type Socket } from 'node:net';
import { addonIfThere } from '../wire/addon.ts';
import { Connection } from '../wire/connection.ts';
import { DescriptorSocket } from '../wire/descriptor-socket.ts';
import { readError } from '../wire/error-value.ts';
import { type Feature, PROTOCOL, readServerGreeting } from '../wire/greeting.ts';
import { isId, type Message } from '../wire/message.ts';
import type { Meta } from '../wire/meta.ts';
import { RequestIds } from '../wire/request-ids.ts';
import { BadFrame } from '../wire/wire-error.ts';

/** How a connection ended. */
export interface Loss {
  readonly code: 'sandbox-died' | 'bad-frame' | 'overloaded' | 'closed';
  readonly message: string;
  /**
   * `garbage`: what came was no message, and whoever sends that is not to be asked again soon; `told`: one of both sides
   * said why; `unknown`: it just ended, as it does when the other side dies.
   */
  readonly reason: 'garbage' | 'told' | 'unknown';
}

/** A request that waits for its response. */
export interface Pending {
  /** @param error null when it went well */
  answered(error: unknown, result: unknown): void;
  /** A part of a streamed result. @returns false when there was no credit for it. */
  item(value: unknown): boolean;
  lost(loss: Loss): void;
}

export interface LinkOptions {
  /** Of the server's socket. */
  readonly path: string;
  readonly name: string;
  readonly frameLimit: number;
  /** The server can be called. */
  readonly up: () => void;
  /** The server is about to stop: nothing new is sent. */
  readonly draining: () => void;
  /** There is room for a request where there was none. */
  readonly room: () => void;
  /** Called once, after all that was pending has been lost. */
  readonly ended: (loss: Loss) => void;
}

type State = 'connecting' | 'greeting' | 'up' | 'draining' | 'ended';

/** What this side can do. */
const FEATURES: readonly Feature[] = ['cancel', 'stream', 'drain', 'ping'];
/** A server that hangs accepts connections, too: the kernel does. It has so long to answer the greeting. */
const GREETING_MS = 5000;
/** Requests at a time, of a server that does not say how many it takes. */
const PLAIN_WINDOW = 64;
/** Nothing more is sent to a server that has so much yet to read. */
const MOST_BACKLOG = 1024 * 1024;

/** One connection to a server: its greeting, and what is in its hands. */
export class Link {
  readonly pending = new Map<number, Pending>();
  readonly #options: LinkOptions;
  readonly #connection: Connection;
  readonly #ids = new RequestIds();
  #features: readonly Feature[] = [];
  #greeted = false;
  #window = PLAIN_WINDOW;
  #state: State = 'connecting';
  #upSince = Infinity;
  #hello = -1;
  #farewell: Loss | undefined;
  #over = false;
  #timer: NodeJS.Timeout;

  constructor(options: LinkOptions) {
    this.#options = options;
    const socket = connectTo(options.path);
    this.#connection = new Connection({
      socket,
      limit: options.frameLimit,
      takesBare: false,
      message: (message) => this.#message(message),
      drained: () => this.#options.room(),
      // What it still has to send is no answer to anybody.
      ending: (reason) => this.#ended(reason),
      closed: (reason) => this.#ended(reason),
    });
    (socket as Socket).once('connect', () => this.#greet());
    this.#timer = setTimeout(() => this.destroy(`no greeting within ${GREETING_MS} ms`), GREETING_MS);
  }

  get state(): State {
    return this.#state;
  }

  /** When its greeting was answered; monotonic ms, or Infinity. */
  get upSince(): number {
    return this.#upSince;
  }

  /** A request can be sent now. */
  get free(): boolean {
    if (this.#state !== 'up' || this.pending.size >= this.#window) return false;
    return this.#connection.backlog < MOST_BACKLOG;
  }

  has(feature: Feature): boolean {
    return this.#features.includes(feature);
  }

  /** @returns its id. @throws NotSendable */
  request(pending: Pending, method: string, params: readonly unknown[], meta: Meta): number {
    const id = this.#ids.next(this.pending);
    this.#connection.send(this.#greeted ? [0, id, method, params, this.#known(meta)] : [0, id, method, params]);
    this.pending.set(id, pending);
    return id;
  }

  /** @throws NotSendable */
  notify(method: string, params: readonly unknown[]): void {
    this.#connection.send([2, method, params]);
  }

  /** Nobody waits for the answer any more; it still counts as one that is to come. */
  cancel(id: number): void {
    if (this.has('cancel')) this.#connection.send([2, '$cancel', [id]]);
  }

  credit(id: number, parts: number): void {
    this.#connection.send([2, '$credit', [id, parts]]);
  }

  /** Nothing new is sent, and the connection ends with the last response. */
  retire(): void {
    if (this.#state === 'up') this.#state = 'draining';
    if (this.#state !== 'draining') this.destroy('not needed any more', 'closed');
    else if (this.pending.size === 0) this.#leave();
  }

  /** Ends the connection at once. */
  destroy(message: string, code: Loss['code'] = 'sandbox-died'): void {
    this.#farewell ??= { code, message, reason: 'told' };
    this.#state = 'ended';
    this.#connection.destroy();
  }

  #leave(): void {
    this.#farewell ??= { code: 'closed', message: 'it is about to stop', reason: 'told' };
    this.#connection.end();
  }

  #greet(): void {
    this.#state = 'greeting';
    const { frameLimit, name } = this.#options;
    this.#hello = this.#ids.next(this.pending);
    this.#connection.send([
      0,
      this.#hello,
      '$hello',
      [{ protocol: PROTOCOL, frame: frameLimit, features: this.#own, name }],
    ]);
  }

  get #own(): readonly Feature[] {
    return this.#connection.canCarryBodies ? [...FEATURES, 'body'] : FEATURES;
  }

  #known(meta: Meta): Meta {
    if (meta.stream === undefined || this.has('stream')) return meta;
    const { stream: _, ...rest } = meta;
    return rest;
  }

  #message(message: Message): void {
    switch (message.kind) {
      case 'response':
        if (message.id === this.#hello && this.#state === 'greeting') this.#welcomed(message.error, message.result);
        else this.#answered(message.id, message.error, message.result);
        return;
      case 'notification':
        this.#notified(message.method, message.params);
        return;
      case 'request':
        throw new BadFrame('a request of a server');
    }
  }

  #welcomed(error: unknown, result: unknown): void {
    if (error !== null && readError(error).code === 'unsupported-protocol') {
      this.destroy(`the server does not have version ${PROTOCOL} of the protocol`);
      return;
    }
    clearTimeout(this.#timer);
    this.#hello = -1;
    const greeting = error === null ? readServerGreeting(result) : undefined;
    if (greeting !== undefined) {
      this.#greeted = true;
      this.#features = greeting.features;
      this.#window = greeting.window;
      this.#connection.peerLimit = greeting.frame;
      if (greeting.features.includes('body')) this.#connection.carryBodies();
    }
    this.#state = 'up';
    this.#upSince = performance.now();
    this.#options.up();
  }

  #answered(id: number, error: unknown, result: unknown): void {
    const pending = this.pending.get(id);
    if (pending === undefined) throw new BadFrame('a response to no request');
    this.pending.delete(id);
    pending.answered(error, result);
    if (this.#state === 'draining' && this.pending.size === 0) this.#leave();
    else this.#options.room();
  }

  #notified(method: string, params: readonly unknown[]): void {
    switch (method) {
      case '$item': {
        const [id, value] = params;
        if (!isId(id) || this.pending.get(id)?.item(value) !== true) throw new BadFrame('a part that nobody asked for');
        return;
      }
      case '$drain':
        if (this.#state !== 'up') return;
        this.retire();
        this.#options.draining();
        return;
      case '$close':
        this.#farewell ??= lossOf(params);
        return;
    }
  }

  #ended(reason: Error | undefined): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#state = 'ended';
    const loss = this.#farewell ?? lossBy(reason);
    const pending = [...this.pending.values()];
    this.pending.clear();
    for (const each of pending) each.lost(loss);
    this.#options.ended(loss);
  }
}

/** With the addon, a socket that can carry bodies. Errors of connecting are told by the other one. */
function connectTo(path: string): Socket | DescriptorSocket {
  const addon = addonIfThere();
  const fd = addon?.connectUnix(path) ?? -1;
  if (addon === undefined || fd < 0) return createConnection(path);
  try {
    return new DescriptorSocket(addon, fd);
  } catch {
    addon.closeDescriptor(fd);
    return createConnection(path);
  }
}

function lossOf([code, message]: readonly unknown[]): Loss {
  const why = typeof message === 'string' ? message : 'without a reason';
  if (code === 'bad-frame') return { code, message: `the server could not read what it got: ${why}`, reason: 'told' };
  return {
    code: code === 'overloaded' ? code : 'sandbox-died',
    message: `the server ended the connection: ${why}`,
    reason: 'told',
  };
}

function lossBy(reason: Error | undefined): Loss {
  if (reason instanceof BadFrame)
    return { code: 'bad-frame', message: `what the server sent is no answer: ${reason.message}`, reason: 'garbage' };
  const why = reason === undefined ? 'the server closed the connection' : reason.message;
  return { code: 'sandbox-died', message: why, reason: 'unknown' };
}
