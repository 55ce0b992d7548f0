import type { BreakerState } from './breaker.ts';
import type { SandboxState } from './discovery-message.ts';
import { Latency } from './latency.ts';

/** What `statistics()` tells: counts are since connect(), all else is as of now. */
export interface Statistics {
  readonly plugin: string;
  readonly calls: {
    readonly made: number;
    readonly succeeded: number;
    /** By code; at most 100 codes, all further ones are `other`. */
    readonly failed: Readonly<Record<string, number>>;
    /** Requests that were sent once more because the first was lost or refused, or its sandbox kept away from. */
    readonly retries: number;
    readonly hedges: number;
    /** Made and not over. */
    readonly open: number;
    /** Of those, how many wait for room or for a sandbox. */
    readonly waiting: number;
  };
  /** Of calls that succeeded, ms, to an eighth; streams from first to last. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly longest: number };
  /** Whether the supervisor is connected that tells of sandboxes; null for a server that was started by hand. */
  readonly discovery: boolean | null;
  readonly sandboxes: readonly SandboxStatistics[];
}

export interface SandboxStatistics {
  readonly generation: number | undefined;
  readonly slot: string;
  readonly version: string;
  readonly state: SandboxState | 'gone';
  /** It gets calls, as far as it is not kept away from. */
  readonly serves: boolean;
  readonly breaker: BreakerState;
  /** Methods that alone are kept away from it. */
  readonly openMethods: readonly string[];
  readonly score: number;
  readonly weight: number;
  /** Requests in its hands, those that nobody waits for any more among them. */
  readonly outstanding: number;
  readonly calls: number;
  /** Why there is no connection. */
  readonly error: string | undefined;
}

/** Codes are the plugin's to make up. */
const MOST_CODES = 100;

/** Counts calls. */
export class CallCounts {
  made = 0;
  succeeded = 0;
  readonly latency = new Latency();
  readonly #failed = new Map<string, number>();

  get open(): number {
    let failed = 0;
    for (const count of this.#failed.values()) failed += count;
    return this.made - this.succeeded - failed;
  }

  get failed(): Record<string, number> {
    return Object.fromEntries(this.#failed);
  }

  succeed(ms: number): void {
    this.succeeded++;
    this.latency.add(ms);
  }

  fail(code: string): void {
    const key = this.#failed.has(code) || this.#failed.size < MOST_CODES ? code : 'other';
    this.#failed.set(key, (this.#failed.get(key) ?? 0) + 1);
  }
}
