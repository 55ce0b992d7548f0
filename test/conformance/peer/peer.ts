import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { type Answer, Conversation, type Problem, problemOf } from './conversation.ts';
import { behindLength, pack, type Value } from './pack.ts';
import { unpack } from './unpack.ts';

/** So long (ms) nothing takes on a busy machine that comes at all. */
export const HANG_MS = 20_000;

export const FEATURES = ['cancel', 'stream', 'drain', 'ping'];
const FRAME = 4 * 1024 * 1024;

export interface PeerOptions {
  /** `false`: bare MessagePack-RPC, without lengths. */
  readonly framed?: boolean;
  /** `false`: does not greet. By default it does, with all that it knows. */
  readonly greet?: boolean;
  readonly features?: readonly string[];
  /** Frame limit that it names, bytes. */
  readonly frame?: number;
}

const peers = new Set<Peer>();

/** A client of the tests' own. It may say whatever it likes, and hears all that is said. */
export class Peer {
  readonly talk = new Conversation();
  readonly socket: Socket;
  /** What the server said of itself; empty without a greeting. */
  server: Record<string, unknown> = {};
  /** Resolves when the server has ended the connection. */
  readonly ended: Promise<void>;
  isEnded = false;
  /** It was still writing when the server had ended the connection: the server's last words may not have been read. */
  isBroken = false;
  #framed: boolean;
  #frame = FRAME;
  #rest = Buffer.alloc(0);
  #parts: Buffer[] = [];
  #partBytes = 0;
  #wanted = 0;
  #nextId = 0;
  readonly #waiting = new Set<() => void>();

  private constructor(socket: Socket, framed: boolean) {
    this.socket = socket;
    this.#framed = framed;
    this.talk.bare = !framed;
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    // A reset is an end, too; what came before it counts.
    socket.on('error', () => {
      this.isBroken = true;
    });
    this.ended = new Promise((resolve) => {
      socket.on('close', () => {
        this.isEnded = true;
        this.#wake();
        resolve();
      });
    });
    peers.add(this);
  }

  static async connect(path: string, options: PeerOptions = {}): Promise<Peer> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    const peer = new Peer(socket, options.framed !== false);
    if (options.greet !== false && options.framed !== false) await peer.greet(options);
    return peer;
  }

  async greet({ features = FEATURES, frame = FRAME }: PeerOptions = {}): Promise<void> {
    this.#frame = frame;
    const { error, result } = await this.call('$hello', [{ protocol: 1, frame, features, name: 'conformance' }]);
    assert.equal(error, undefined, JSON.stringify(error));
    assert.ok(typeof result === 'object' && result !== null);
    this.server = result as Record<string, unknown>;
    const theirs = this.server.features;
    assert.ok(Array.isArray(theirs), JSON.stringify(result));
    this.talk.features = features.filter((feature) => theirs.includes(feature));
  }

  /** An id that this connection has not used. */
  id(): number {
    this.#nextId += 1;
    return this.#nextId;
  }

  raw(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Sends all in one write. */
  send(...messages: readonly Value[]): void {
    this.raw(Buffer.concat(messages.map((message) => this.bytesOf(message))));
  }

  bytesOf(message: Value): Buffer {
    const bytes = pack(message);
    return this.#framed ? behindLength(bytes) : bytes;
  }

  /** Sends a request and does not wait; its id. */
  ask(method: string, params: readonly Value[] = [], meta?: { readonly [key: string]: Value }, id = this.id()): number {
    this.expect(id, meta);
    this.send(meta === undefined ? [0, id, method, params] : [0, id, method, params, meta]);
    return id;
  }

  /** A request of this id is sent by other means. */
  expect(id: number, meta?: { readonly [key: string]: Value }): void {
    this.talk.asked(id, typeof meta?.stream === 'number' ? meta.stream : undefined);
  }

  call(method: string, params: readonly Value[] = [], meta?: { readonly [key: string]: Value }): Promise<Answer> {
    return this.answer(this.ask(method, params, meta));
  }

  /** The result of a call that has to go well. */
  async result(method: string, ...params: readonly Value[]): Promise<unknown> {
    const { error, result } = await this.call(method, params);
    assert.equal(error, undefined, `${method}: ${JSON.stringify(error)}`);
    return result;
  }

  /** The error of a call that must not go well. */
  async problem(
    method: string,
    params: readonly Value[] = [],
    meta?: { readonly [key: string]: Value },
  ): Promise<Problem> {
    const { error, result } = await this.call(method, params, meta);
    const problem = problemOf(error);
    const call = `${method} ${show(params)}`.slice(0, 200);
    assert.ok(problem !== undefined, `${call} is to fail, not: ${show(error)} ${show(result)}`);
    return problem;
  }

  async answer(id: number): Promise<Answer> {
    await this.until(`an answer to ${id}`, () => this.talk.answers.has(id));
    const answer = this.talk.answers.get(id);
    assert.ok(answer !== undefined);
    return answer;
  }

  credit(id: number, n: number): void {
    this.talk.credited(id, n);
    this.send([2, '$credit', [id, n]]);
  }

  /** Waits for something to come, and fails when the connection ends without it. */
  async until(what: string, holds: () => boolean, ms = HANG_MS): Promise<void> {
    const end = performance.now() + ms;
    while (!holds()) {
      if (this.isEnded) assert.fail(`the connection ended (${JSON.stringify(this.talk.reason)}) before ${what}`);
      const left = end - performance.now();
      if (left <= 0) assert.fail(`waited ${ms} ms in vain for ${what}; faults: ${this.talk.faults.join('; ')}`);
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          this.#waiting.delete(done);
          resolve();
        };
        const timer = setTimeout(done, Math.min(left, 1000));
        this.#waiting.add(done);
      });
    }
  }

  /** The server has to end the connection, with this code as its reason if it may say one. */
  async refused(code = 'bad-frame'): Promise<void> {
    await this.until('an end', () => this.isEnded).catch((error) => {
      if (!this.isEnded) throw error;
    });
    if (this.talk.features !== undefined) assert.equal(this.talk.reason?.code, code, JSON.stringify(this.talk.reason));
  }

  /** Ends it from this side. */
  async leave(): Promise<void> {
    this.socket.destroy();
    await this.ended;
  }

  #take(bytes: Buffer): void {
    if (this.#framed) this.#takeFrames(bytes);
    else this.#takeBare(bytes);
    this.#wake();
  }

  #takeFrames(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#partBytes += bytes.length;
    if (this.#partBytes < Math.max(4, this.#wanted)) return;
    let rest = Buffer.concat(this.#parts);
    for (;;) {
      this.#wanted = rest.length < 4 ? 4 : 4 + rest.readUInt32BE(0);
      if (this.#wanted > 4 + this.#frame || (rest.length >= 4 && this.#wanted === 4)) {
        this.talk.faults.push(`a frame of ${this.#wanted - 4} bytes`);
        this.socket.destroy();
        return;
      }
      if (rest.length < this.#wanted) break;
      const body = rest.subarray(4, this.#wanted);
      const unpacked = unpack(body);
      if (unpacked.kind === 'value' && unpacked.end === body.length) this.talk.take(unpacked.value);
      else this.talk.faults.push(`a frame that is no value: ${JSON.stringify(unpacked).slice(0, 200)}`);
      rest = rest.subarray(this.#wanted);
    }
    this.#parts = [rest];
    this.#partBytes = rest.length;
  }

  #takeBare(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length > 0) {
      const unpacked = unpack(this.#rest);
      if (unpacked.kind === 'bad') {
        this.talk.faults.push(`bytes that are no value: ${unpacked.why}`);
        this.socket.destroy();
        return;
      }
      if (unpacked.kind === 'incomplete') return;
      this.talk.take(unpacked.value);
      this.#rest = this.#rest.subarray(unpacked.end);
    }
  }

  #wake(): void {
    for (const each of [...this.#waiting]) each();
  }
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? String(each) : each)) ?? 'undefined';
}

/** Ends all peers of a test. Fails if a server said to any of them what it must not. */
export async function dismissPeers(): Promise<void> {
  const faults = [...peers].flatMap(({ talk }) => talk.faults);
  await Promise.all([...peers].map((peer) => peer.leave()));
  peers.clear();
  assert.deepEqual(faults, []);
}

/** Lets go of a peer that has ended, for tests of so many that they could not all be kept. */
export function forget(peer: Peer): void {
  peers.delete(peer);
  assert.deepEqual(peer.talk.faults, []);
}
