import type { Call } from './call.ts';
import { CallError } from './call-error.ts';
import { type CallOptions, checkMethod, RuleBook, type StreamOptions } from './call-rules.ts';
import { breakerChange, type CallEvent, callEnd, callError, callStart, discovery } from './channels.ts';
import { CrashTokens } from './crash-tokens.ts';
import { Discovery } from './discovery.ts';
import type { DiscoveryMessage } from './discovery-message.ts';
import { Dispatcher, TICK_MS } from './dispatcher.ts';
import { OwnTime } from './own-time.ts';
import type { Peer } from './peer.ts';
import { PlainCall } from './plain-call.ts';
import { Pool } from './pool.ts';
import type { Settings } from './settings.ts';
import { onAbort } from './signals.ts';
import { CallCounts, type SandboxStatistics, type Statistics } from './statistics.ts';
import { StreamCall } from './stream-call.ts';

/** Calls one plugin, whichever of its sandboxes are there. Made by connect(). */
export class PluginClient {
  readonly #settings: Settings;
  readonly #rules: RuleBook;
  readonly #pool: Pool;
  readonly #tokens = new CrashTokens();
  readonly #dispatcher: Dispatcher;
  readonly #discovery: Discovery | undefined;
  readonly #counts = new CallCounts();
  /** Looks, each time something has changed, whether what it waits for is there. */
  readonly #waiters = new Set<() => void>();
  #whyNobody = 'nothing was told yet';
  #closed = false;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#rules = new RuleBook(settings);
    const time = new OwnTime(TICK_MS, performance.now());
    this.#pool = new Pool(settings, time, {
      room: () => this.#changed(),
      breaker: ({ generation }, method, state) => {
        if (breakerChange.hasSubscribers) breakerChange.publish({ plugin: settings.plugin, generation, method, state });
      },
    });
    this.#dispatcher = new Dispatcher({
      settings,
      pool: this.#pool,
      tokens: this.#tokens,
      time,
      tellsDeaths: () => this.#discovery?.connected === true,
      whyNobody: () => this.#nobody(),
      finished: (call, error, now) => this.#finished(call, error, now),
    });
    const { where } = settings;
    if ('socket' in where) this.#pool.addByHand(where.socket);
    else
      this.#discovery = new Discovery(where.discovery, {
        message: (message) => this.#heard(message),
        connected: (is, why) => this.#connected(is, why),
      });
  }

  get plugin(): string {
    return this.#settings.plugin;
  }

  /**
   * Resolves when a sandbox can be called; without a time of its own it waits for ever.
   * @throws CallError `unavailable` when none is there in time, `cancelled`, `closed`
   */
  ready(
    options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    const { timeoutMs, signal } = options;
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      let released: (() => void) | undefined;
      const end = (error: CallError | undefined): void => {
        clearTimeout(timer);
        released?.();
        this.#waiters.delete(look);
        if (error === undefined) resolve();
        else reject(error);
      };
      const fail = (code: string, message: string, cause?: unknown): void =>
        end(new CallError(code, message, { method: '', begun: 'no', cause }));
      const abort = (cause: unknown): void => fail('cancelled', 'given up by its caller', cause);
      const look = (): void => {
        if (this.#closed) fail('closed', 'the client was closed');
        else if (this.#pool.serves) end(undefined);
      };
      if (timeoutMs !== undefined)
        timer = setTimeout(
          () => fail('unavailable', `no sandbox of '${this.plugin}' is there: ${this.#nobody()}`),
          timeoutMs,
        );
      this.#waiters.add(look);
      if (signal?.aborted === true) abort(signal.reason);
      else {
        if (signal !== undefined) released = onAbort(signal, { abort });
        look();
      }
    });
  }

  /**
   * Calls a method. @returns its result
   * @throws CallError when it fails; TypeError or RangeError for options that are none
   */
  call<Result = unknown>(method: string, params: readonly unknown[] = [], options?: CallOptions): Promise<Result> {
    const rules = this.#rules.ofCall(method, options);
    return new Promise<Result>((resolve, reject) => {
      const call = new PlainCall(this.#dispatcher, method, params, rules, performance.now());
      call.settle(resolve as (result: unknown) => void, reject);
      this.#begin(call, options?.signal);
    });
  }

  /**
   * Calls a method whose result comes in parts, when the first part is asked for. What the method returns in the end is
   * the iterator's own return value. To leave the loop ends the method.
   * @throws CallError from the loop; TypeError or RangeError for options that are none, at once
   */
  stream<Part = unknown>(
    method: string,
    params: readonly unknown[] = [],
    options: StreamOptions = {},
  ): AsyncIterableIterator<Part> {
    const rules = this.#rules.ofStream(method, options);
    let call: StreamCall | undefined;
    let stopped = false;
    const end = (value: unknown): Promise<IteratorResult<Part>> => Promise.resolve({ done: true, value });
    const stop = (): void => {
      stopped = true;
      call?.stop();
    };
    return {
      next: () => {
        if (stopped) return end(undefined);
        if (call === undefined) {
          call = new StreamCall(this.#dispatcher, method, params, rules, performance.now());
          this.#begin(call, options.signal);
        }
        return call.take() as Promise<IteratorResult<Part>>;
      },
      return: (value?: unknown) => {
        stop();
        return end(value);
      },
      throw: (error?: unknown) => {
        stop();
        return Promise.reject(error);
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /**
   * Tells a sandbox something; nobody says whether it was heard.
   * @returns false when there was nobody to tell it to
   * @throws NotSendable, TypeError
   */
  notify(method: string, params: readonly unknown[] = []): boolean {
    checkMethod(method);
    if (this.#closed) return false;
    return this.#pool.pickForNotification(method, performance.now())?.notify(method, params) ?? false;
  }

  statistics(): Statistics {
    const { made, succeeded, failed, open, latency } = this.#counts;
    const { retries, hedges, waiting } = this.#dispatcher;
    return {
      plugin: this.plugin,
      calls: { made, succeeded, failed, retries, hedges, open, waiting },
      latency: { p50: latency.quantile(0.5), p99: latency.quantile(0.99), longest: latency.longestMs },
      discovery: this.#discovery?.connected ?? null,
      sandboxes: [...this.#pool.peers].map(statisticsOf),
    };
  }

  /**
   * Takes no more calls, and ends all connections when those that were made are over.
   * @param options.timeoutMs what is not over by then ends as `closed`; the client's timeoutMs, since streams may be endless
   */
  async close(options: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
    this.#closed = true;
    this.#look();
    if (this.#counts.open > 0) await this.#quiet(options.timeoutMs ?? this.#settings.timeoutMs);
    this.#discovery?.release();
    this.#dispatcher.close();
    this.#pool.close();
    this.#tokens.giveUp();
  }

  /** Resolves when all calls are over, or that takes too long. */
  #quiet(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(look);
        resolve();
      };
      const look = (): void => {
        if (this.#counts.open === 0) end();
      };
      const timer = setTimeout(end, timeoutMs);
      this.#waiters.add(look);
    });
  }

  #begin(call: Call, signal: AbortSignal | undefined): void {
    this.#counts.made++;
    if (callStart.hasSubscribers || callEnd.hasSubscribers || callError.hasSubscribers) this.#tell(call);
    if (this.#closed) {
      call.fail(new CallError('closed', 'the client was closed', { method: call.method, begun: 'no' }));
      return;
    }
    if (signal !== undefined) {
      if (signal.aborted) {
        call.abort(signal.reason);
        return;
      }
      call.released = onAbort(signal, call);
    }
    this.#dispatcher.place(call, call.startedAt);
  }

  #tell(call: Call): void {
    const event: CallEvent = { plugin: this.plugin, method: call.method, traceparent: call.rules.traceparent };
    call.event = event;
    callStart.publish(event);
  }

  #finished(call: Call, error: CallError | undefined, now: number): void {
    const ms = now - call.startedAt;
    if (error === undefined) this.#counts.succeed(ms);
    else this.#counts.fail(error.code);
    const { event } = call;
    if (event !== undefined) {
      Object.assign(event, { ms, attempts: call.attempts, generation: call.generation });
      if (error !== undefined) callError.publish(Object.assign(event, { error }));
      callEnd.publish(event);
    }
    if (this.#closed) this.#look();
  }

  #heard(message: DiscoveryMessage): void {
    if (message.kind === 'unknown') return;
    const { plugin } = this.#settings;
    if (message.kind === 'crash') {
      const { crash } = message;
      if (discovery.hasSubscribers) discovery.publish({ plugin, crash });
      this.#tokens.remember(crash);
      this.#pool.crashed(crash);
      return;
    }
    const { sandboxes } = message;
    if (discovery.hasSubscribers) discovery.publish({ plugin, sandboxes });
    this.#whyNobody = sandboxes.length === 0 ? 'the supervisor tells of none' : 'none of them is ready';
    this.#pool.update(sandboxes);
  }

  #connected(is: boolean, why: string | undefined): void {
    // That it still cannot be reached, for the same reason as before, is no news.
    const news = is || why !== this.#whyNobody;
    if (news && discovery.hasSubscribers) discovery.publish({ plugin: this.plugin, connected: is, why });
    if (is) return;
    // Nobody tells any more why somebody died.
    this.#tokens.giveUp();
    this.#whyNobody = why ?? '';
  }

  #nobody(): string {
    for (const { facts, lastError } of this.#pool.peers)
      if (facts.state === 'ready' && lastError !== undefined) return lastError;
    return this.#whyNobody;
  }

  #changed(): void {
    this.#dispatcher.serve();
    this.#look();
  }

  #look(): void {
    if (this.#waiters.size > 0) for (const look of [...this.#waiters]) look();
  }
}

function statisticsOf(peer: Peer): SandboxStatistics {
  const { generation, slot, version, state, score, weight } = peer.facts;
  return {
    generation,
    slot,
    version,
    state,
    serves: peer.serves,
    breaker: peer.health.state,
    openMethods: peer.health.openMethods(),
    score,
    weight,
    outstanding: peer.outstanding,
    calls: peer.calls,
    error: peer.lastError,
  };
}
