import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { Owner, owned } from '../base/owner.ts';
import type { MakePipe, SendDatagram } from './sender.ts';

/** sd_pid_notify_with_fds(3): systemd takes no more descriptors than this in one message. */
const MAX_FDS = 253;

export interface NotifierOptions {
  /** $NOTIFY_SOCKET; undefined when systemd does not listen: then nothing is sent, and nothing fails. */
  readonly socket: string | undefined;
  readonly clock: Clock;
  readonly sendDatagram: SendDatagram;
  readonly makePipe: MakePipe;
}

/**
 * Tells systemd about our own service: sd_notify(3). All methods but barrier() return when the message is in
 * systemd's queue, and throw Failure BH601 when it cannot be put there.
 */
export class Notifier {
  readonly #options: NotifierOptions;

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  /** Whether anybody listens. */
  get listening(): boolean {
    return this.#options.socket !== undefined;
  }

  /** Started, or reloaded. */
  ready(status?: string): void {
    this.#send(status === undefined ? ['READY=1'] : ['READY=1', `STATUS=${oneLine(status)}`]);
  }

  /** One line for `systemctl status`. */
  status(text: string): void {
    this.#send([`STATUS=${oneLine(text)}`]);
  }

  /** A reload begins; ready() ends it. systemd wants to know when it began. */
  reloading(): void {
    this.#send(['RELOADING=1', `MONOTONIC_USEC=${Math.floor(this.#options.clock.now() * 1000)}`]);
  }

  stopping(status?: string): void {
    this.#send(status === undefined ? ['STOPPING=1'] : ['STOPPING=1', `STATUS=${oneLine(status)}`]);
  }

  /** Alive; at least every WatchdogSec=. */
  watchdog(): void {
    this.#send(['WATCHDOG=1']);
  }

  /** Asks for more time to start or stop, in milliseconds from now. */
  extendTimeout(ms: number): void {
    this.#send([`EXTEND_TIMEOUT_USEC=${Math.round(ms * 1000)}`]);
  }

  /**
   * Puts copies of descriptors into systemd's store under a name (see fd-store.ts). FDPOLL=0 keeps them there when
   * the other end hangs up.
   */
  storeFds(name: string, fds: readonly number[]): void {
    if (fds.length === 0 || fds.length > MAX_FDS)
      throw new RangeError(`1 to ${MAX_FDS} descriptors at once, not ${fds.length}`);
    this.#send(['FDSTORE=1', `FDNAME=${name}`, 'FDPOLL=0'], fds);
  }

  /** Takes all descriptors of that name out of the store. */
  removeFds(name: string): void {
    this.#send(['FDSTOREREMOVE=1', `FDNAME=${name}`]);
  }

  /**
   * Returns when systemd has handled all messages before: it closes the write end of a pipe that goes with BARRIER=1.
   * @throws Failure BH502 when that takes longer than `timeoutMs`.
   */
  async barrier(timeoutMs: number): Promise<void> {
    if (!this.listening) return;
    const { read, write } = this.#options.makePipe();
    const owner = new Owner('sd_notify barrier');
    try {
      const reader = new Socket({ fd: read, readable: true, writable: false });
      owner.own(owned(() => reader.destroy()));
      const closed = new Promise<void>((resolve, reject) => {
        reader.on('end', resolve);
        reader.on('error', reject);
        reader.resume();
        owner.own(
          this.#options.clock.after(timeoutMs, () =>
            reject(new Failure('BH502', `systemd has not handled our notifications within ${timeoutMs} ms`)),
          ),
        );
      });
      try {
        this.#send(['BARRIER=1'], [write]);
      } finally {
        closeSync(write);
      }
      await closed;
    } finally {
      owner.release();
    }
  }

  #send(lines: readonly string[], fds: readonly number[] = []): void {
    if (this.#options.socket === undefined) return;
    this.#options.sendDatagram(this.#options.socket, Buffer.from(`${lines.join('\n')}\n`), fds);
  }
}

/** A line break would begin another assignment. */
function oneLine(text: string): string {
  return text.replace(/[\r\n\0]+/g, ' ');
}
