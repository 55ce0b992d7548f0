import {
  LONGEST_IDEMPOTENCY_BYTES,
  LONGEST_METHOD_BYTES,
  LONGEST_TRACESTATE_BYTES,
  MOST_CREDIT,
  MOST_DEADLINE_MS,
} from '../wire/limits.ts';
import { isText, isTraceparent } from '../wire/meta.ts';
import { inRange, text, whole } from './arguments.ts';
import type { Settings } from './settings.ts';

export interface CallOptions {
  readonly timeoutMs?: number | undefined;
  /** Gives the call up: it ends as `cancelled`, and the plugin is told. */
  readonly signal?: AbortSignal | undefined;
  /** It may be made twice without harm. */
  readonly idempotent?: boolean | undefined;
  /** The same for all attempts at this call, 1 to 128 bytes: a plugin that keeps it makes any method idempotent. */
  readonly idempotency?: string | undefined;
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
  readonly hedgeAfterMs?: number | undefined;
  readonly slowMs?: number | undefined;
}

export interface StreamOptions extends Omit<CallOptions, 'timeoutMs' | 'hedgeAfterMs'> {
  /** Time for all of it, ms; without end. */
  readonly timeoutMs?: number | undefined;
  /** Time for the next part, while there is credit, ms; the client's timeoutMs. */
  readonly idleMs?: number | undefined;
  /** Parts that may be on their way, or wait to be taken, 1 to 1024; 32. */
  readonly credit?: number | undefined;
  /**
   * A stream whose sandbox dies in the middle goes on elsewhere, called with the parameters that this returns. Without it,
   * it ends with `sandbox-died` once a part has come. It has to be idempotent, too.
   */
  readonly resume?: ((received: number) => readonly unknown[]) | undefined;
}

/** What a call is to do, all of it. */
export interface CallRules {
  /** Infinity: without end, as only streams may be. */
  readonly timeoutMs: number;
  readonly retries: number;
  readonly idempotent: boolean;
  readonly idempotency: string | undefined;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  /** Infinity: never. */
  readonly hedgeAfterMs: number;
  readonly slowMs: number;
}

export interface StreamRules extends CallRules {
  /** Time for the next part, ms. */
  readonly idleMs: number;
  readonly credit: number;
  readonly resume: ((received: number) => readonly unknown[]) | undefined;
}

/** Nobody has so many methods; a caller that makes names up fills no memory. */
const MOST_KEPT = 1000;

/** Completes what calls say of themselves. */
export class RuleBook {
  readonly #settings: Settings;
  /** Of calls that say nothing of themselves, which are most. */
  readonly #plain = new Map<string, CallRules>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** @throws TypeError, RangeError */
  ofCall(method: string, options: CallOptions | undefined): CallRules {
    if (options !== undefined || this.#settings.traceparent !== undefined) return this.#complete(method, options ?? {});
    const kept = this.#plain.get(method);
    if (kept !== undefined) return kept;
    const rules = this.#complete(method, {});
    if (this.#plain.size >= MOST_KEPT) this.#plain.clear();
    this.#plain.set(method, rules);
    return rules;
  }

  /** @throws TypeError, RangeError */
  ofStream(method: string, options: StreamOptions): StreamRules {
    const { timeoutMs, resume } = options;
    return {
      ...this.#complete(method, options),
      timeoutMs: timeoutMs === undefined ? Infinity : inRange('timeoutMs', timeoutMs, 1, MOST_DEADLINE_MS),
      hedgeAfterMs: Infinity,
      idleMs: inRange('idleMs', options.idleMs ?? this.#settings.timeoutMs, 1, MOST_DEADLINE_MS),
      credit: whole('credit', options.credit ?? 32, 1, MOST_CREDIT),
      resume,
    };
  }

  #complete(method: string, options: CallOptions): CallRules {
    checkMethod(method);
    const settings = this.#settings;
    const { idempotency, tracestate } = options;
    const traceparent = options.traceparent ?? settings.traceparent?.();
    return {
      timeoutMs: inRange('timeoutMs', options.timeoutMs ?? settings.timeoutMs, 1, MOST_DEADLINE_MS),
      retries: settings.retries,
      idempotent: options.idempotent ?? (idempotency !== undefined || settings.idempotent.has(method)),
      idempotency: idempotency === undefined ? undefined : text('idempotency', idempotency, LONGEST_IDEMPOTENCY_BYTES),
      // A trace context that is malformed must not cost a caller its call.
      traceparent: isTraceparent(traceparent) ? traceparent : undefined,
      tracestate: isText(tracestate, LONGEST_TRACESTATE_BYTES) ? tracestate : undefined,
      hedgeAfterMs:
        options.hedgeAfterMs === undefined
          ? settings.hedgeAfterMs
          : inRange('hedgeAfterMs', options.hedgeAfterMs, 1, MOST_DEADLINE_MS),
      slowMs: inRange('slowMs', options.slowMs ?? settings.slowMs, 1, MOST_DEADLINE_MS),
    };
  }
}

/** @throws TypeError, RangeError */
export function checkMethod(method: string): void {
  if (text('method', method, LONGEST_METHOD_BYTES).startsWith('$'))
    throw new TypeError(`'${method}': methods that begin with '$' belong to the protocol`);
}
