import type { Clock, Owned } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import { Owner, owned } from '../base/owner.ts';
import { Bus, CALL_TIMEOUT_MS, type CallParts } from './bus.ts';
import { Listeners } from './listeners.ts';
import type { Signal, SignalPattern } from './signal-router.ts';

export const SYSTEMD_NAME = 'org.freedesktop.systemd1';
export const SYSTEMD_PATH = '/org/freedesktop/systemd1';
export const MANAGER_INTERFACE = 'org.freedesktop.systemd1.Manager';

/** How long the private socket may be away before the system bus is used: a daemon-reexec should not switch. */
const FALLBACK_AFTER_MS = 300;

/** How often to look whether the calls over the system bus have ended, when it is no longer needed. */
const RETIRE_CHECK_MS = 250;

/** The bus daemon's words for "systemd went away while you were waiting". */
const LOSSES: readonly string[] = [
  'org.freedesktop.DBus.Error.NoReply',
  'org.freedesktop.DBus.Error.Disconnected',
  'org.freedesktop.DBus.Error.NameHasNoOwner',
  'org.freedesktop.DBus.Error.ServiceUnknown',
];

export interface ManagerOptions {
  readonly clock: Clock;
  readonly onDefect: (thrown: unknown) => void;
  /** systemd's own socket, PRIVATE_SOCKET; undefined where we are not root. */
  readonly privateSocket: string | undefined;
  /** Sockets of the system bus, see systemBusSockets(). */
  readonly busSockets: readonly string[];
}

export type Way = 'private' | 'bus';

/**
 * The way to systemd: its private socket, or the system bus as long as that is away. Which one is in use shows
 * only in `way`; subscriptions and calls go over the present one.
 */
export class ManagerLink implements Owned {
  /** A way was found (again). Signals may have been missed before. */
  readonly onActive: Listeners<Way>;
  /** There is no way at present. */
  readonly onLost: Listeners<Failure>;

  readonly #clock: Clock;
  readonly #owner = new Owner('link to systemd');
  readonly #private: Bus | undefined;
  readonly #fallback: Bus;
  #active: Bus | undefined;
  #fallbackTimer: Owned | undefined;

  constructor(options: ManagerOptions) {
    const { clock, onDefect, privateSocket, busSockets } = options;
    this.#clock = clock;
    this.onActive = new Listeners(onDefect);
    this.onLost = new Listeners(onDefect);
    this.#fallback = this.#owner.own(
      new Bus({ name: 'system bus', sockets: busSockets, kind: 'bus', clock, onDefect }),
    );
    this.#fallback.trackOwner(SYSTEMD_NAME, (name) => this.#systemdIs(name));
    this.#fallback.onUp.add(() => this.#systemdIs(this.#fallback.ownerOf(SYSTEMD_NAME)));
    this.#fallback.onDown.add((reason) => this.#lost(this.#fallback, reason));
    if (privateSocket !== undefined) {
      const link = new Bus({ name: "systemd's socket", sockets: [privateSocket], kind: 'peer', clock, onDefect });
      this.#private = this.#owner.own(link);
      link.onUp.add(() => {
        this.#cancelFallback();
        this.#activate(link);
        this.#retireFallback();
      });
      link.onDown.add((reason) => {
        this.#lost(link, reason);
        this.#planFallback();
      });
    }
  }

  get way(): Way | undefined {
    if (this.#active === undefined) return undefined;
    return this.#active === this.#private ? 'private' : 'bus';
  }

  /** Signals that claimed to come from systemd but did not; only on the bus can there be any. */
  get spoofed(): number {
    return this.#fallback.counters.spoofed;
  }

  start(): void {
    if (this.#private === undefined) {
      this.#fallback.start();
    } else {
      this.#private.start();
      this.#planFallback();
    }
  }

  release(): void {
    this.#active = undefined;
    this.#owner.release();
    this.onActive.clear();
    this.onLost.clear();
  }

  /**
   * Calls a method of systemd; without a way, waits for one, all within `timeoutMs` (25 s unless given).
   * @throws Failure BH505 no way to systemd in time; else as Bus.call() does. BH501 leaves open whether systemd
   * has done it.
   */
  async call(parts: Omit<CallParts, 'destination'>, timeoutMs = CALL_TIMEOUT_MS): Promise<unknown[]> {
    const begin = this.#clock.now();
    const link = this.#active ?? (await this.#whenActive(parts.member, timeoutMs));
    const restMs = Math.max(1, timeoutMs - (this.#clock.now() - begin));
    return this.#callOver(link, parts, restMs);
  }

  /** Wants signals of systemd; those of the way not in use are left out. */
  subscribe(pattern: Omit<SignalPattern, 'sender'>, run: (signal: Signal) => void): Owned {
    const subscriptions = [this.#private, this.#fallback].map((bus) =>
      bus?.subscribe({ ...pattern, sender: SYSTEMD_NAME }, (signal) => {
        if (this.#active === bus) run(signal);
      }),
    );
    return owned(() => {
      for (const subscription of subscriptions) subscription?.release();
    });
  }

  async #callOver(link: Bus, parts: Omit<CallParts, 'destination'>, timeoutMs: number): Promise<unknown[]> {
    try {
      const destination = link === this.#fallback ? { destination: SYSTEMD_NAME } : {};
      return await link.call({ ...destination, ...parts }, { timeoutMs });
    } catch (thrown) {
      const failure = asFailure(thrown);
      const { dbusName } = failure;
      if (dbusName === undefined || !LOSSES.includes(dbusName)) throw thrown;
      throw new Failure('BH501', failure.message, { dbusName, cause: thrown });
    }
  }

  #whenActive(what: string, timeoutMs: number): Promise<Bus> {
    return new Promise((resolve, reject) => {
      const waiting = this.#owner.own(new Owner('call waiting for systemd'));
      const fail = (reason: string) => reject(new Failure('BH505', `${what}: ${reason}`));
      waiting.own(owned(() => fail('given up')));
      waiting.own(
        this.#clock.after(timeoutMs, () => {
          fail(`no connection within ${Math.round(timeoutMs)} ms`);
          this.#owner.drop(waiting);
        }),
      );
      waiting.own(
        this.onActive.add(() => {
          if (this.#active !== undefined) resolve(this.#active);
          this.#owner.drop(waiting);
        }),
      );
    });
  }

  /** The system bus is there, and systemd on it is (or is not, undefined). */
  #systemdIs(uniqueName: string | undefined): void {
    if (!this.#fallback.up) return;
    if (uniqueName === undefined) {
      this.#lost(this.#fallback, new Failure('BH501', 'systemd has left the system bus'));
      return;
    }
    // Called while the bus was in use: another systemd process has taken over, without a gap.
    this.#lost(this.#fallback, new Failure('BH501', 'systemd was executed anew'));
    // Without Subscribe systemd sends no signals over the bus; it remembers us even over a daemon-reexec.
    const subscribe = { path: SYSTEMD_PATH, interface: MANAGER_INTERFACE, member: 'Subscribe' };
    this.#callOver(this.#fallback, subscribe, CALL_TIMEOUT_MS).then(
      () => this.#activateFallback(),
      (thrown: unknown) => {
        if (asFailure(thrown).dbusName === 'org.freedesktop.systemd1.AlreadySubscribed') this.#activateFallback();
        else this.#retryFallback();
      },
    );
  }

  #activateFallback(): void {
    if (this.#fallback.up && this.#active === undefined && !this.#owner.released) this.#activate(this.#fallback);
  }

  /** systemd did not answer; a new connection begins anew, after its own pause. */
  #retryFallback(): void {
    if (!this.#fallback.up || this.#active !== undefined) return;
    this.#fallback.stop();
    this.#planFallback();
  }

  #activate(link: Bus): void {
    this.#active = link;
    this.onActive.emit(link === this.#private ? 'private' : 'bus');
  }

  #lost(link: Bus, reason: Failure): void {
    if (this.#active !== link) return;
    this.#active = undefined;
    this.onLost.emit(reason);
  }

  /** Ends the connection to the bus when the calls on it have ended. */
  #retireFallback(): void {
    if (this.#private?.up !== true) return;
    if (this.#fallback.pendingCalls === 0) {
      this.#fallback.stop();
      return;
    }
    const later = this.#owner.own(
      this.#clock.after(RETIRE_CHECK_MS, () => {
        this.#owner.drop(later);
        this.#retireFallback();
      }),
    );
  }

  #planFallback(): void {
    this.#cancelFallback();
    if (this.#owner.released) return;
    this.#fallbackTimer = this.#owner.own(
      this.#clock.after(FALLBACK_AFTER_MS, () => {
        this.#cancelFallback();
        if (this.#private?.up !== true) this.#fallback.start();
      }),
    );
  }

  #cancelFallback(): void {
    if (this.#fallbackTimer !== undefined) this.#owner.drop(this.#fallbackTimer);
    this.#fallbackTimer = undefined;
  }
}
