import type { Socket } from 'node:net';
import { closeDescriptors, divide, isSurelyLarge, makeBodies, openBodies } from './bodies.ts';
import { encodeFrame } from './codec.ts';
import { DescriptorSocket } from './descriptor-socket.ts';
import { cutText } from './error-value.ts';
import { FrameReader } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { BARE_FRAME_LIMIT, FIRST_FRAME_LIMIT, LENGTH_BYTES, LONGEST_ERROR_BYTES } from './limits.ts';
import { type Message, type Outgoing, readMessage } from './message.ts';
import { BadFrame, type CloseCode, NotSendable } from './wire-error.ts';

/** A peer that has not taken the reason for the end within this time, and closed, does not get it. */
const LAST_WORD_MS = 1000;

export interface ConnectionOptions {
  /** Connected, or connecting; taken over. */
  readonly socket: Socket | DescriptorSocket;
  /** Bytes of a message that is taken. */
  readonly limit: number;
  /** Whether a peer that sends no lengths is served. */
  readonly takesBare: boolean;
  /** It may throw BadFrame, for a message that must not come now: that ends the connection. */
  readonly message: (message: Message) => void;
  /** The other side takes bytes again after a `send` that left some behind. */
  readonly drained?: () => void;
  /** It ends, from our side: nothing more is handed on, though its last words are still on their way. */
  readonly ending?: (reason: Error | undefined) => void;
  /**
   * Called once, at the end.
   * @param reason why we ended it, or the error of the socket; undefined when the peer closed.
   */
  readonly closed: (reason: Error | undefined) => void;
}

/** One connection, as messages: both the client and the server of docs/protocol.md are made on it. */
export class Connection {
  /** Bytes that the peer takes in one message. */
  peerLimit = FIRST_FRAME_LIMIT;
  readonly #socket: Socket | DescriptorSocket;
  /** The same, once bodies have been agreed on. */
  #carrier: DescriptorSocket | undefined;
  readonly #reader: FrameReader;
  readonly #writer: FrameWriter;
  readonly #ending: ConnectionOptions['ending'];
  #reason: Error | undefined;
  #ended = false;

  constructor(options: ConnectionOptions) {
    const { limit, takesBare } = options;
    // Both have all that is used here, but two lists of overloads make no call that fits both.
    const socket = options.socket as Socket;
    this.#ending = options.ending;
    this.#socket = socket;
    this.#writer = new FrameWriter((bytes) => {
      if (!socket.destroyed) socket.write(bytes);
    });
    this.#reader = new FrameReader({ limit, takesBare, value: (value) => options.message(readMessage(value)) });
    socket.on('data', (chunk: Buffer) => this.#push(chunk));
    socket.on('drain', () => options.drained?.());
    socket.on('error', (error) => {
      this.#reason ??= error;
    });
    socket.on('end', () => socket.destroySoon());
    socket.once('close', () => {
      this.#ended = true;
      this.#reader.stop();
      options.closed(this.#reason);
    });
  }

  /** Whether the peer sends no lengths, and gets none. */
  get isBare(): boolean {
    return this.#reader.isBare;
  }

  /** Nothing is sent or handed on any more. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Bytes that were sent and that the kernel has not taken yet. */
  get backlog(): number {
    return this.#socket.writableLength + this.#writer.gathered;
  }

  /** Of these, what goes beside messages: one alone may be 1 GiB. */
  get held(): number {
    return this.#carrier?.heldLength ?? 0;
  }

  /** Bytes that the kernel has taken, ever. */
  get taken(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength;
  }

  /** What comes from now on may be so large. */
  set limit(bytes: number) {
    this.#reader.limit = bytes;
  }

  /** Whether bodies can go beside messages here, if both sides name them. */
  get canCarryBodies(): boolean {
    return this.#socket instanceof DescriptorSocket;
  }

  /** Both sides have named bodies: from now on large binaries go and come so. */
  carryBodies(): void {
    if (!(this.#socket instanceof DescriptorSocket)) return;
    const carrier = this.#socket;
    carrier.keepsDescriptors = true;
    carrier.on('excess', () => this.close('bad-frame', 'more descriptors than messages have mentioned'));
    this.#carrier = carrier;
    this.#reader.takeBodies = (lengths) => {
      const fds = carrier.takeDescriptors(lengths.length);
      if (fds === undefined) throw new BadFrame('fewer descriptors than bodies');
      return openBodies(fds, lengths);
    };
  }

  /**
   * Puts a message behind the others; after the end it does nothing.
   * @throws NotSendable when it cannot be encoded or is over the peer's limit; nothing has been sent then.
   */
  send(message: Outgoing): void {
    if (this.#ended) return;
    if (this.isBare) this.#writer.add(encodeFrame(message, BARE_FRAME_LIMIT).subarray(LENGTH_BYTES));
    else if (this.#carrier === undefined) this.#writer.add(encodeFrame(message, this.peerLimit));
    else this.#sendOrDivide(message, this.#carrier);
  }

  /** As it is, if that is possible; else with bodies beside it. */
  #sendOrDivide(message: Outgoing, carrier: DescriptorSocket): void {
    if (!isSurelyLarge(message)) {
      try {
        this.#writer.add(encodeFrame(message, this.peerLimit));
        return;
      } catch (error) {
        if (!(error instanceof NotSendable) || error.code !== 'too-large') throw error;
      }
    }
    const divided = divide(message, this.peerLimit);
    const fds = divided === undefined ? undefined : makeBodies(divided.bodies);
    let frame: Buffer;
    try {
      // Without bodies, or where they cannot be made, this says why it cannot be sent.
      frame = encodeFrame(fds === undefined || divided === undefined ? message : divided.message, this.peerLimit);
    } catch (error) {
      closeDescriptors(fds ?? []);
      throw error;
    }
    this.#writer.flush();
    carrier.writeWith(frame, fds ?? [], divided?.bodies.reduce((sum, { length }) => sum + length, 0) ?? 0);
  }

  /** Stops taking bytes from the peer; what it has sent already may still be handed on. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#ended) this.#socket.resume();
  }

  /** Ends the connection behind all that was sent. */
  end(): void {
    if (this.#ended) return;
    this.#stop(undefined);
  }

  /** Ends the connection for a reason, which the peer is told as the last message, if it can be without waiting. */
  close(code: CloseCode, message: string): void {
    if (this.#ended) return;
    if (!this.isBare && !this.#socket.writableNeedDrain)
      this.send([2, '$close', [code, cutText(message, LONGEST_ERROR_BYTES)]]);
    const reason = code === 'bad-frame' ? new BadFrame(message) : new Error(message);
    this.#stop(reason);
  }

  /** Ends the connection at once; what was not sent is lost. */
  destroy(reason?: Error): void {
    this.#reason ??= reason;
    this.#ended = true;
    this.#reader.stop();
    this.#socket.destroy();
  }

  #stop(reason: Error | undefined): void {
    this.#reason ??= reason;
    this.#writer.flush();
    this.#ended = true;
    this.#reader.stop();
    this.#ending?.(reason);
    // What still comes is read and thrown away until the peer closes, too: bytes that cannot be sent any more, or lie unread
    // at the end, would be an error for the peer, before it has read the reason.
    this.#socket.resume();
    this.#socket.end();
    const timer = setTimeout(() => this.#socket.destroy(), LAST_WORD_MS);
    this.#socket.once('close', () => clearTimeout(timer));
  }

  #push(chunk: Buffer): void {
    try {
      this.#reader.push(chunk);
    } catch (error) {
      if (!(error instanceof BadFrame)) throw error;
      this.close('bad-frame', error.message);
    }
  }
}
