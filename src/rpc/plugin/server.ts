import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { addonIfThere } from '../wire/addon.ts';
import { Connection } from '../wire/connection.ts';
import { DescriptorSocket } from '../wire/descriptor-socket.ts';
import { FIRST_FRAME_LIMIT } from '../wire/limits.ts';
import type { Activity } from './activity.ts';
import { Deadlines } from './deadlines.ts';
import type { Where } from './listen-where.ts';
import type { Methods } from './methods.ts';
import { Peer, type PeerHost, type ServerFacts } from './peer.ts';

/** Connections at a time; one more is told so and closed. */
const MOST_CONNECTIONS = 256;
/** Connections that are told so at a time, until they have read it; others are closed without a word. */
const MOST_REFUSED = 16;
/** Methods that have not come back, of all connections, with those that have gone away. */
const MOST_IN_HAND = 16_384;
/** Bytes that one peer may leave unread, and all of them together; whoever has most is cut then. */
const MOST_BACKLOG_BYTES = 64 * 1024 * 1024;
const MOST_BACKLOGS_BYTES = 128 * 1024 * 1024;
/** A peer that is full and takes nothing for so long is cut. */
const STALLED_MS = 30_000;
/** While draining, a connection that does not know what that is is closed when it has been without a request for so long. */
const QUIET_MS = 1000;
/** Steps in which the two above are looked at. */
const LOOK_MS = 100;
/** Turns of the event loop that a queue of connections may take to be empty; each takes one of them. */
const MOST_TURNS = 1000;
/** Errors of methods that are written to the journal in a second; the others would only say the same. */
const MOST_ERRORS_A_SECOND = 10;

export interface ServerOptions {
  readonly methods: Methods;
  readonly activity: Activity;
  readonly facts: ServerFacts;
  readonly window: number;
}

/** The listening socket of a plugin, and all connections to it. */
export class Server implements PeerHost {
  readonly methods: Methods;
  readonly activity: Activity;
  readonly deadlines = new Deadlines();
  readonly window: number;
  readonly greeting: ServerFacts;
  readonly mostInHand = MOST_IN_HAND;
  inHand = 0;
  noticesInHand = 0;
  readonly #peers = new Set<Peer>();
  readonly #full = new Map<Peer, { taken: number; since: number }>();
  readonly #listener: NetServer;
  #accepted = 0;
  #refused = 0;
  #draining = false;
  #empty: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #errorsSince = 0;
  #errors = 0;

  constructor(options: ServerOptions) {
    this.methods = options.methods;
    this.activity = options.activity;
    this.window = options.window;
    this.greeting = options.facts;
    this.#listener = createServer({ pauseOnConnect: true }, (socket) => this.#accept(socket));
  }

  get draining(): boolean {
    return this.#draining;
  }

  get connections(): number {
    return this.#peers.size;
  }

  /** @throws Error of listen(2), or for a descriptor that does not listen. */
  async listen(where: Where): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#listener.once('error', reject);
      this.#listener.listen(where, () => {
        this.#listener.removeListener('error', reject);
        resolve();
      });
    });
    // accept(2) that fails for want of descriptors is tried again with the next connection.
    this.#listener.on('error', (error) =>
      process.stderr.write(`bulkhead: accepting failed: ${error.message}, ignoring\n`),
    );
  }

  /**
   * Takes no more connections than wait already, tells all that it is about to stop, and goes on serving (docs/draining.md).
   * Resolves when the last connection has ended, and with it whatever came as a notification.
   */
  async drain(): Promise<void> {
    if (!this.#draining) {
      this.#draining = true;
      await this.#takeQueue();
      this.#listener.close();
      for (const peer of this.#peers) peer.tellDraining();
      this.#watch();
    }
    if (this.#isDone) return this.#unwatch();
    await new Promise<void>((resolve) => {
      this.#empty = resolve;
    });
  }

  /** Ends all at once; what was not sent is lost. */
  destroy(): void {
    this.#listener.close();
    for (const peer of this.#peers) peer.destroy(new Error('the server was ended'));
    this.#unwatch();
  }

  threw(method: string, error: unknown): void {
    const now = performance.now();
    if (now - this.#errorsSince > 1000) {
      this.#errorsSince = now;
      this.#errors = 0;
    }
    this.#errors += 1;
    if (this.#errors > MOST_ERRORS_A_SECOND) return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`bulkhead: '${method}' threw: ${text}\n`);
  }

  filled(peer: Peer): void {
    if (!this.#full.has(peer)) this.#full.set(peer, { taken: peer.taken, since: performance.now() });
    this.#watch();
    if (peer.backlog > MOST_BACKLOG_BYTES) return peer.destroy(new Error('it reads nothing'));
    let sum = 0;
    let worst = peer;
    for (const each of this.#full.keys()) {
      sum += each.backlog;
      if (each.backlog > worst.backlog) worst = each;
    }
    if (sum > MOST_BACKLOGS_BYTES) worst.destroy(new Error('it reads nothing'));
  }

  left(peer: Peer): void {
    this.#full.delete(peer);
    this.#peers.delete(peer);
    this.#lookForEnd();
  }

  noticeEnded(): void {
    this.noticesInHand -= 1;
    this.#lookForEnd();
  }

  get #isDone(): boolean {
    return this.#peers.size === 0 && this.noticesInHand === 0;
  }

  #lookForEnd(): void {
    if (!this.#draining || !this.#isDone) return;
    this.#unwatch();
    this.#empty?.();
  }

  #accept(socket: Socket): void {
    this.#accepted += 1;
    if (this.#peers.size < MOST_CONNECTIONS) {
      this.#peers.add(new Peer(takeOver(socket), this));
      return;
    }
    if (this.#refused >= MOST_REFUSED) {
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    this.#refused += 1;
    socket.resume();
    new Connection({
      socket,
      limit: FIRST_FRAME_LIMIT,
      takesBare: false,
      message: () => {},
      closed: () => {
        this.#refused -= 1;
      },
    }).close('overloaded', `${MOST_CONNECTIONS} connections are open`);
  }

  /** Who waits in the queue has a connection, as far as it knows. */
  async #takeQueue(): Promise<void> {
    const turn = () => new Promise(setImmediate);
    await turn();
    for (let turns = 0, before = -1; turns < MOST_TURNS && this.#accepted !== before; turns++) {
      before = this.#accepted;
      await turn();
    }
  }

  #watch(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#lookAround(), LOOK_MS);
    this.#timer.unref();
  }

  #unwatch(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #lookAround(): void {
    const now = performance.now();
    for (const [peer, seen] of this.#full) {
      if (!peer.isFull) this.#full.delete(peer);
      else if (peer.taken !== seen.taken) this.#full.set(peer, { taken: peer.taken, since: now });
      else if (now - seen.since > STALLED_MS) peer.destroy(new Error('it reads nothing'));
    }
    if (this.#draining) {
      for (const peer of this.#peers)
        if (!peer.knowsDraining && peer.quietSince !== undefined && now - peer.quietSince > QUIET_MS) peer.end();
    } else if (this.#full.size === 0) this.#unwatch();
  }
}

/**
 * The same connection as a socket that can carry bodies, where there is the addon for it. Nothing has been read of it yet.
 * Its descriptor is known to Node.js alone; where that has moved, bodies go as bytes.
 */
function takeOver(socket: Socket): Socket | DescriptorSocket {
  const addon = addonIfThere();
  const { fd } = (socket as { _handle?: { fd?: unknown } })._handle ?? {};
  const copy = addon !== undefined && typeof fd === 'number' && fd >= 0 ? addon.duplicate(fd) : -1;
  if (addon === undefined || copy < 0) return socket.resume();
  try {
    const carrier = new DescriptorSocket(addon, copy);
    socket.on('error', () => {});
    socket.destroy();
    return carrier;
  } catch {
    addon.closeDescriptor(copy);
    return socket.resume();
  }
}
