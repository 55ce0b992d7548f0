import { EventEmitter } from 'node:events';
import { getSystemErrorName } from 'node:util';
import type { Addon } from './addon.ts';

const READABLE = 1;
const WRITABLE = 2;
const EAGAIN = -11;
const EPIPE = -32;
/** What is read at once, at most; messages keep the piece that they are in. */
const PIECE_BYTES = 64 * 1024;
/** A piece with less room is left to the messages that are in it. */
const LEAST_ROOM = 16 * 1024;
/** Reads in a turn of the event loop; others have theirs then. */
const MOST_READS = 8;
/** Waiting bytes from which on whoever writes should wait, too. */
const HIGH_WATER = 16 * 1024;
/** Descriptors that came and that no message has mentioned yet (docs/protocol.md). */
const MOST_WAITING = 64;

/** Bytes in files that were sent and not taken: of the socket's queue they are a few bytes each. Beyond, the next one waits. */
const MOST_UNREAD = 128 * 1024 * 1024;
/** Between looks whether they have been taken, which nobody tells. */
const UNREAD_PAUSE_MS = 10;

interface Waiting {
  readonly bytes: Uint8Array;
  /** They go with the first byte, and are closed then. */
  readonly fds: readonly number[];
  /** Bytes that they hold. */
  readonly held: number;
}

/** Its own for all sockets: what is read is looked at before anything else is read. */
const came = new Int32Array(MOST_WAITING + 1);

/**
 * A connected Unix socket that can carry descriptors, which those of Node.js throw away. It has as much of their interface
 * as messages need: data, drain, end, error and close, and the same properties. `excess`: more descriptors have come than
 * messages have mentioned.
 */
export class DescriptorSocket extends EventEmitter {
  destroyed = false;
  bytesWritten = 0;
  writableLength = 0;
  /** Of these, what files hold. */
  heldLength = 0;
  writableNeedDrain = false;
  /** Whether descriptors that come are kept; both ends have agreed on them. */
  keepsDescriptors = false;
  readonly #addon: Addon;
  readonly #fd: number;
  readonly #watch: object;
  #watched = 0;
  #paused = false;
  #ended = false;
  /** `end`: after what waits the other end reads the end; `destroy`: and that is all. */
  #then: 'end' | 'destroy' | undefined;
  #waiting: Waiting[] = [];
  #came: number[] = [];
  #piece = Buffer.alloc(0);
  #unread = 0;
  /** Runs while the first that waits does so for others to be taken. */
  #pause: NodeJS.Timeout | undefined;

  /** @param fd taken over. @throws Error when it cannot be watched; it is still the caller's then. */
  constructor(addon: Addon, fd: number) {
    super();
    this.#addon = addon;
    this.#fd = fd;
    const watch = addon.watch(fd, (events) => this.#ready(events));
    if (typeof watch === 'number') throw new Error(`a socket cannot be watched: ${getSystemErrorName(watch)}`);
    this.#watch = watch;
    process.nextTick(() => {
      if (this.destroyed) return;
      this.emit('connect');
      this.#expect();
    });
  }

  write(bytes: Uint8Array): boolean {
    return this.writeWith(bytes, [], 0);
  }

  /**
   * @param fds taken over: closed when they are sent, or will never be.
   * @param held bytes that they hold: they count as if they were written.
   */
  writeWith(bytes: Uint8Array, fds: readonly number[], held: number): boolean {
    if (this.destroyed || this.#then !== undefined) {
      this.#close(fds);
      return false;
    }
    this.bytesWritten += bytes.length + held;
    this.writableLength += bytes.length + held;
    this.heldLength += held;
    this.#waiting.push({ bytes, fds, held });
    if (this.#waiting.length === 1) this.#flush();
    this.writableNeedDrain ||= this.writableLength > HIGH_WATER;
    return !this.writableNeedDrain;
  }

  /** The first of those that came; undefined when there are not so many. They are the caller's. */
  takeDescriptors(count: number): number[] | undefined {
    return count > this.#came.length ? undefined : this.#came.splice(0, count);
  }

  pause(): this {
    this.#paused = true;
    this.#expect();
    return this;
  }

  resume(): this {
    this.#paused = false;
    this.#expect();
    return this;
  }

  end(): this {
    this.#then ??= 'end';
    this.#settle();
    return this;
  }

  destroySoon(): void {
    this.#then = 'destroy';
    this.#settle();
  }

  destroy(error?: Error): this {
    if (this.destroyed) return this;
    this.destroyed = true;
    clearTimeout(this.#pause);
    this.#addon.unwatch(this.#watch);
    this.#addon.closeDescriptor(this.#fd);
    for (const { fds } of this.#waiting) this.#close(fds);
    this.#close(this.#came);
    this.#waiting = [];
    this.#came = [];
    process.nextTick(() => {
      if (error !== undefined) this.emit('error', error);
      this.emit('close', error !== undefined);
    });
    return this;
  }

  #ready(events: number): void {
    if ((events & WRITABLE) !== 0) this.#flush();
    if ((events & READABLE) !== 0) this.#read();
    this.#expect();
  }

  /** Watches for what there is to wait for. */
  #expect(): void {
    if (this.destroyed) return;
    const events =
      (this.#paused || this.#ended ? 0 : READABLE) |
      (this.#waiting.length > 0 && this.#pause === undefined ? WRITABLE : 0);
    if (events === this.#watched) return;
    this.#watched = events;
    const result = this.#addon.watchFor(this.#watch, events);
    if (result < 0) this.#fail('watch', result);
  }

  #read(): void {
    for (let reads = 0; reads < MOST_READS && !this.#paused && !this.#ended && !this.destroyed; reads++) {
      if (this.#piece.length < LEAST_ROOM) this.#piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
      const piece = this.#piece;
      const got = this.#addon.receive(this.#fd, piece, came);
      if (got === EAGAIN) return;
      if (got < 0) return this.#fail('recvmsg', got);
      if ((came[0] as number) > 0 && !this.#keep([...came.subarray(1, 1 + (came[0] as number))])) return;
      if (got === 0) {
        this.#ended = true;
        this.emit('end');
        return;
      }
      this.#piece = piece.subarray(got);
      this.emit('data', piece.subarray(0, got));
      if (got < piece.length) return;
    }
  }

  #keep(fds: readonly number[]): boolean {
    if (!this.keepsDescriptors) {
      this.#close(fds);
      return true;
    }
    this.#came.push(...fds);
    if (this.#came.length <= MOST_WAITING) return true;
    // What comes while the connection ends is not wanted either.
    this.keepsDescriptors = false;
    this.#close(this.#came);
    this.#came = [];
    this.emit('excess');
    return !this.destroyed;
  }

  #flush(): void {
    let sentAll = false;
    while (!this.destroyed && this.#waiting.length > 0) {
      const { bytes, fds, held } = this.#waiting[0] as Waiting;
      if (held > 0 && !this.#maySend(held)) break;
      const sent = this.#addon.sendWithFds(this.#fd, bytes, fds);
      if (sent === EAGAIN) break;
      if (sent === EPIPE && !this.#paused) return this.#readToTheEnd();
      if (sent < 0) return this.#fail('sendmsg', sent);
      this.writableLength -= sent + held;
      this.heldLength -= held;
      this.#unread += held;
      this.#close(fds);
      if (sent < bytes.length) {
        this.#waiting[0] = { bytes: bytes.subarray(sent), fds: [], held: 0 };
      } else {
        this.#waiting.shift();
        sentAll = this.#waiting.length === 0;
      }
    }
    this.#expect();
    if (!sentAll) return;
    this.#settle();
    if (!this.writableNeedDrain || this.destroyed) return;
    this.writableNeedDrain = false;
    this.emit('drain');
  }

  #maySend(held: number): boolean {
    if (this.#unread === 0 || this.#unread + held <= MOST_UNREAD) return true;
    if (this.#addon.unread(this.#fd) > 0) {
      this.#pause ??= setTimeout(() => {
        this.#pause = undefined;
        this.#flush();
      }, UNREAD_PAUSE_MS);
      return false;
    }
    this.#unread = 0;
    return true;
  }

  /** Nobody reads any more what is written here. What was said before is read all the same: it may be the reason. */
  #readToTheEnd(): void {
    for (const { fds } of this.#waiting) this.#close(fds);
    this.#waiting = [];
    this.writableLength = 0;
    this.heldLength = 0;
    this.#then = 'destroy';
    // Unless it has been read already.
    if (this.#ended) this.#settle();
    else this.#expect();
  }

  #settle(): void {
    if (this.destroyed || this.#waiting.length > 0) return;
    if (this.#then === 'end') this.#addon.finishWriting(this.#fd);
    if (this.#then === 'destroy') this.destroy();
  }

  #close(fds: readonly number[]): void {
    for (const fd of fds) this.#addon.closeDescriptor(fd);
  }

  #fail(call: string, errno: number): void {
    const name = getSystemErrorName(errno);
    this.destroy(Object.assign(new Error(`${call}: ${name}`), { code: name, syscall: call }));
  }
}
