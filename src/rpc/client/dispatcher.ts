import type { Call, Death, Switchboard } from './call.ts';
import { CallError } from './call-error.ts';
import type { CrashTokens } from './crash-tokens.ts';
import type { OwnTime } from './own-time.ts';
import type { Peer } from './peer.ts';
import type { Obstacle, Pool } from './pool.ts';
import { RetryBudget } from './retry.ts';
import type { Settings } from './settings.ts';

/** Between two looks at what time says of calls, ms: deadlines, slowness and hedges are as exact as that. */
export const TICK_MS = 10;
/** Whoever was refused for want of room asks the same one again after so long at the least, and twice it at the most; ms. */
const REFUSED_PAUSE_MS = 10;
/** The incident of a death has a name within this, or the caller is told without; ms. */
const NAMING_MS = 2000;

export interface DispatcherOptions {
  readonly settings: Settings;
  readonly pool: Pool;
  readonly tokens: CrashTokens;
  readonly time: OwnTime;
  /** Whether deaths are told of now. */
  readonly tellsDeaths: () => boolean;
  /** Why nobody is there, as far as it is known. */
  readonly whyNobody: () => string;
  readonly finished: (call: Call, error: CallError | undefined, now: number) => void;
}

/** Gives calls to whoever is to have them, lets them wait for room in a line that is not endless, and watches the time. */
export class Dispatcher implements Switchboard {
  retries = 0;
  hedges = 0;
  readonly #options: DispatcherOptions;
  readonly #budget = new RetryBudget();
  /** Calls that wait, the longest first, with the time since when. */
  readonly #line = new Map<Call, number>();
  /** What is sent may bring news of room by itself. */
  #serves = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#line.size;
  }

  place(call: Call, now: number): void {
    this.#watch(now);
    // Whoever was in somebody's hands has waited already.
    if (this.#line.size > 0 && call.attempts === 0) this.#queue(call, now, 'full');
    else {
      const obstacle = this.#send(call, now);
      if (obstacle !== undefined) this.#queue(call, now, obstacle);
    }
  }

  placeBeside(call: Call, why: 'hedge' | 'rescue'): void {
    if (!call.mayRunTwice) return;
    const { pool } = this.#options;
    const now = performance.now();
    const peer = pool.pick(call, now, false);
    if (peer === undefined || !this.#budget.take()) return;
    if (why === 'hedge') this.hedges++;
    else this.retries++;
    this.#give(call, peer, now);
  }

  affordsRepeat(): boolean {
    if (!this.#budget.take()) return false;
    this.retries++;
    return true;
  }

  finished(call: Call, error: CallError | undefined, now: number): void {
    if (error === undefined) this.#budget.succeeded();
    this.#line.delete(call);
    this.#options.finished(call, error, now);
  }

  whenNamed(peer: Peer, call: Call, told: (why: Death) => void): void {
    const { tokens, tellsDeaths } = this.#options;
    const { generation } = peer;
    if (generation === undefined || !tellsDeaths()) told(this.deathOf(peer));
    else
      tokens.whenNamed(generation, Math.min(call.deadline, performance.now() + NAMING_MS), (token) =>
        told(token ?? {}),
      );
  }

  deathOf({ generation }: Peer): Death {
    return (generation === undefined ? undefined : this.#options.tokens.of(generation)) ?? {};
  }

  /** Somebody may have room. */
  serve(): void {
    if (this.#line.size === 0 || this.#serves) return;
    this.#serves = true;
    const now = performance.now();
    for (const call of this.#line.keys()) {
      const obstacle = this.#send(call, now);
      if (obstacle === 'broken') this.#refuse(call, obstacle);
      else if (obstacle !== undefined) break;
      this.#line.delete(call);
    }
    this.#serves = false;
  }

  /** Ends all that waits, and takes nothing more. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const call of [...this.#line.keys()]) this.#turnAway(call);
  }

  /** @returns why it could not be sent */
  #send(call: Call, now: number): Obstacle | undefined {
    const { pool } = this.#options;
    const first = pool.pick(call, now, false);
    if (first !== undefined) {
      this.#give(call, first, now);
      return undefined;
    }
    if (call.attempts > 0 && pool.pick(call, now, true) !== undefined) {
      this.#sendLater(call);
      return undefined;
    }
    return pool.obstacle(call.method, now);
  }

  #give(call: Call, peer: Peer, now: number): void {
    const attempt = peer.attempt(call, now);
    if (attempt === undefined) this.#queue(call, now, 'full');
    else call.send(attempt, now);
  }

  /** To one who has refused it, or lost it, before; not at once, or all attempts were over before he is better. */
  #sendLater(call: Call): void {
    setTimeout(
      () => {
        if (call.over) return;
        const now = performance.now();
        const peer = this.#options.pool.pick(call, now, false) ?? this.#options.pool.pick(call, now, true);
        if (peer === undefined) this.#queue(call, now, this.#options.pool.obstacle(call.method, now));
        else this.#give(call, peer, now);
      },
      REFUSED_PAUSE_MS * (1 + Math.random()),
    );
  }

  #queue(call: Call, now: number, obstacle: Obstacle): void {
    if (this.#closed) this.#turnAway(call);
    else if (obstacle === 'broken' || (obstacle === 'nobody' && this.#options.settings.waitMs === 0))
      this.#refuse(call, obstacle);
    else if (this.#line.size >= this.#options.settings.waiting) {
      const message = `${this.#line.size} calls wait already`;
      call.fail(new CallError('overloaded', message, { method: call.method, begun: call.begun }));
    } else {
      this.#line.set(call, now);
      this.#watch(now);
    }
  }

  #turnAway(call: Call): void {
    call.fail(new CallError('closed', 'the client was closed', { method: call.method, begun: call.begun }));
  }

  #refuse(call: Call, obstacle: 'broken' | 'nobody'): void {
    const { settings, whyNobody } = this.#options;
    const message =
      obstacle === 'broken'
        ? `no sandbox of '${settings.plugin}' answers '${call.method}' in time; they are tried again now and then`
        : `no sandbox of '${settings.plugin}' is there: ${whyNobody()}`;
    call.fail(new CallError('unavailable', message, { method: call.method, begun: call.begun }));
  }

  #watch(now: number): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#options.time.start(now);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  #tick(): void {
    // Timers come before sockets: answers that lie there since are read first.
    if (this.#options.time.tick(performance.now())) setImmediate(() => this.#sweep(performance.now()));
    else this.#sweep(performance.now());
  }

  #sweep(now: number): void {
    const { pool, tokens, settings } = this.#options;
    tokens.sweep(now);
    const outstanding = pool.tick(now);
    const nobody = this.#line.size > 0 && !pool.serves;
    for (const [call, since] of this.#line) {
      if (now >= call.deadline) call.expire('nobody took it in time');
      else if (nobody && now - since >= settings.waitMs) this.#refuse(call, 'nobody');
    }
    // Time lets some back who were kept away from.
    this.serve();
    if (outstanding > 0 || this.#line.size > 0 || tokens.waiting > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
