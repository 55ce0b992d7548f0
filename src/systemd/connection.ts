import { createConnection, type Socket } from 'node:net';
import type { Clock, Owned } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { Owner, owned } from '../base/owner.ts';
import { type Dropped, FrameReader } from './safe-decoder.ts';
import type { Head, Incoming } from './wire.ts';

/** Connecting and authenticating together may take this long. */
const HANDSHAKE_MS = 5000;
/** The answer to the handshake is `OK` and 32 hex digits; more is not read. */
const MAX_LINE_BYTES = 4096;
/** Bytes that may wait for a peer that does not read. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024;

export interface ConnectionOptions {
  /** Unix socket path, or NUL and an abstract name. */
  readonly path: string;
  readonly clock: Clock;
  /** Largest message that is kept, in bytes. */
  readonly maxIncomingBytes: number;
  /** Authenticated; messages may be sent. */
  readonly onOpen: () => void;
  readonly onMessage: (message: Incoming) => void;
  readonly onDropped: (why: Dropped, head: Head | undefined) => void;
  /** Called exactly once unless released before: the connection is gone, with the reason. */
  readonly onClosed: (reason: Failure) => void;
}

/**
 * One socket to a D-Bus peer, from connecting to its end. It knows authentication and where messages begin
 * and end; it does not know calls, names or match rules.
 *
 * Everything up to BEGIN goes out in a single write: systemd's private socket reads BEGIN together with the
 * first message and then leaves that message lying until more bytes come, so nothing may follow BEGIN before
 * its OK was seen.
 */
export class Connection implements Owned {
  readonly #options: ConnectionOptions;
  readonly #owner: Owner;
  readonly #socket: Socket;
  readonly #frames: FrameReader;
  readonly #deadline: Owned;
  #greeting: Buffer | undefined = Buffer.alloc(0);
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#owner = new Owner(`connection to ${options.path}`);
    this.#frames = new FrameReader(options.maxIncomingBytes, {
      message: options.onMessage,
      dropped: options.onDropped,
      broken: (reason) => this.#close(reason),
    });
    const socket = createConnection({ path: options.path });
    this.#socket = socket;
    this.#owner.own(owned(() => socket.destroy()));
    this.#deadline = this.#owner.own(
      options.clock.after(HANDSHAKE_MS, () => this.#close(`no answer to the handshake within ${HANDSHAKE_MS} ms`)),
    );
    socket.on('connect', () => {
      const uid = Buffer.from(String(process.getuid?.() ?? 0)).toString('hex');
      socket.write(`\0AUTH EXTERNAL ${uid}\r\nBEGIN\r\n`);
    });
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) => this.#close(error.message));
    socket.on('end', () => this.#close('the other end closed it'));
    socket.on('close', () => this.#close('closed'));
  }

  /** Bytes that were given to send() and wait for the peer to read. */
  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  /** @throws Failure BH501 when the connection is gone, BH507 when the peer does not read. */
  send(bytes: Buffer): void {
    if (this.#closed) throw new Failure('BH501', `no connection to ${this.#name}`);
    if (this.waitingBytes + bytes.length > MAX_WAITING_BYTES) {
      throw new Failure('BH507', `${this.#name} does not read what was sent`);
    }
    this.#socket.write(bytes);
  }

  /** Ends the connection as if it had been lost, for what only the user of the connection can see is wrong. */
  fail(reason: string): void {
    this.#close(reason);
  }

  release(): void {
    this.#closed = true;
    this.#frames.stop();
    this.#owner.release();
  }

  get #name(): string {
    return this.#options.path.replace('\0', '@');
  }

  #receive(chunk: Buffer): void {
    if (this.#closed) return;
    if (this.#greeting === undefined) {
      this.#frames.push(chunk);
      return;
    }
    const greeting = Buffer.concat([this.#greeting, chunk]);
    const end = greeting.indexOf('\r\n');
    if (end < 0 && greeting.length <= MAX_LINE_BYTES) {
      this.#greeting = greeting;
      return;
    }
    const line = greeting.toString('latin1', 0, Math.max(end, 0));
    if (!/^OK( [0-9a-fA-F]+)?$/.test(line)) {
      this.#close(line.startsWith('REJECTED') ? 'authentication was refused' : 'the handshake was not understood');
      return;
    }
    this.#greeting = undefined;
    this.#owner.drop(this.#deadline);
    this.#options.onOpen();
    if (!this.#closed && end + 2 < greeting.length) this.#frames.push(greeting.subarray(end + 2));
  }

  #close(reason: string): void {
    if (this.#closed) return;
    this.release();
    this.#options.onClosed(new Failure('BH501', `${this.#name}: ${reason}`));
  }
}
