import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock, Owned } from '../../../src/base/clock.ts';
import { owned } from '../../../src/base/owner.ts';
import { encode } from '../../../src/systemd/encoder.ts';
import { FrameReader } from '../../../src/systemd/safe-decoder.ts';
import { type Incoming, MESSAGE, type Outgoing } from '../../../src/systemd/wire.ts';

/** A D-Bus peer, whose messages name no sender, that does whatever a test wants: it answers the handshake and Hello, and nothing else by itself. */
export class FakePeer {
  readonly directory = mkdtempSync(join(tmpdir(), 'fake-peer-'));
  readonly path = join(this.directory, 'socket');
  readonly received: Incoming[] = [];
  /** Answer to the handshake. */
  greeting = 'OK 0123456789abcdef0123456789abcdef\r\n';
  onMessage: (message: Incoming) => void = () => undefined;
  connections = 0;
  /** Handshakes that were answered; an answer is what `greeting` is at that moment. */
  greeted = 0;
  #socket: Socket | undefined;
  readonly #server: Server;
  #serial = 1000;

  constructor() {
    this.#server = createServer((socket) => this.#accept(socket));
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(this.path, resolve));
  }

  /** Ends the present connection. */
  cut(): void {
    this.#socket?.destroy();
  }

  close(): Promise<void> {
    this.cut();
    rmSync(this.directory, { recursive: true, force: true });
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  write(bytes: Buffer | string): void {
    this.#socket?.write(bytes);
  }

  send(message: Outgoing): void {
    this.#serial += 1;
    this.write(encode(message, this.#serial));
  }

  answer(call: Incoming, signature = '', body: readonly unknown[] = []): void {
    this.send({ type: MESSAGE.return, replySerial: call.head.serial, signature, body });
  }

  #accept(socket: Socket): void {
    this.connections += 1;
    this.#socket = socket;
    socket.on('error', () => undefined);
    const frames = new FrameReader(1 << 24, {
      message: (message) => this.#receive(message),
      dropped: (why) => assertNever(why),
      broken: (reason) => assertNever(reason),
    });
    let handshake = '';
    let begun = false;
    socket.on('data', (chunk) => {
      if (begun) {
        frames.push(chunk);
        return;
      }
      handshake += chunk.toString('latin1');
      if (!handshake.endsWith('BEGIN\r\n')) return;
      begun = true;
      socket.write(this.greeting);
      this.greeted += 1;
    });
  }

  #receive(message: Incoming): void {
    if (message.head.member === 'Hello') this.answer(message, 's', [':1.42']);
    else if (message.head.member === 'AddMatch') this.answer(message);
    else {
      this.received.push(message);
      this.onMessage(message);
    }
  }
}

function assertNever(what: string): never {
  throw new Error(`the client sent something wrong: ${what}`);
}

/** Time that passes only when told to. */
export class ManualClock implements Clock {
  #now = 0;
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  now(): number {
    return this.#now;
  }

  after(delayMs: number, run: () => void): Owned {
    const timer = { at: this.#now + delayMs, run };
    this.#timers.add(timer);
    return owned(() => this.#timers.delete(timer));
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#now = next.at;
      this.#timers.delete(next);
      next.run();
    }
    this.#now = end;
  }

  /** Milliseconds until the next timer rings. */
  get next(): number | undefined {
    return this.#timers.size === 0 ? undefined : Math.min(...[...this.#timers].map(({ at }) => at)) - this.#now;
  }

  get waiting(): number {
    return this.#timers.size;
  }
}

export async function until(what: string, holds: () => boolean): Promise<void> {
  const end = Date.now() + 45_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`did not come: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
