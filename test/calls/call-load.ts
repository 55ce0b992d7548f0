import { CallError, type PluginClient } from '../../src/rpc/client/client.ts';
import { pause } from '../support/load.ts';

/** A call that failed; times are monotonic ms. */
export interface FailedCall {
  readonly method: string;
  readonly error: CallError;
  readonly startedAt: number;
  readonly endedAt: number;
}

export interface LoadWishes {
  /** Calls at a time. */
  readonly callers: number;
  readonly method: string;
  /** Of the call with this number. */
  readonly params: (number: number) => readonly unknown[];
  /** Whether the answer is the right one. */
  readonly right: (answer: unknown, number: number) => boolean;
  readonly idempotent: boolean;
  readonly timeoutMs: number;
}

/** Callers that call one after the other, and know of each call what became of it. */
export class CallLoad {
  made = 0;
  good = 0;
  wrong = 0;
  /** The longest that went well; ms. */
  longestMs = 0;
  readonly failed: FailedCall[] = [];
  readonly #client: PluginClient;
  readonly #wishes: LoadWishes;
  readonly #callers: readonly Promise<void>[];
  #stopped = false;

  constructor(client: PluginClient, wishes: LoadWishes) {
    this.#client = client;
    this.#wishes = wishes;
    this.#callers = Array.from({ length: wishes.callers }, () => this.#run());
  }

  /** Share of calls that got their right answer, of those that are over. */
  get availability(): number {
    const over = this.good + this.wrong + this.failed.length;
    return over === 0 ? 1 : this.good / over;
  }

  /** Resolves when the calls that are under way are over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#callers);
  }

  async #run(): Promise<void> {
    const { method, params, right, idempotent, timeoutMs } = this.#wishes;
    while (!this.#stopped) {
      const number = this.made++;
      const startedAt = performance.now();
      try {
        const answer = await this.#client.call(method, params(number), { idempotent, timeoutMs });
        if (right(answer, number)) this.good++;
        else this.wrong++;
        this.longestMs = Math.max(this.longestMs, performance.now() - startedAt);
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        this.failed.push({ method, error, startedAt, endedAt: performance.now() });
        // Of a test that failed: its client is closed, and its load was not stopped.
        if (error.code === 'closed') return;
        // Nor is what fails at once asked for without end.
        await pause(10);
      }
    }
  }
}

/** The first of them in words, for a test that fails. */
export function describeFailed(failed: readonly FailedCall[]): string {
  const lines = failed.slice(0, 10).map(({ method, error, startedAt, endedAt }) => {
    const { code, message, begun, generation, incident } = error;
    const ms = Math.round(endedAt - startedAt);
    return `${method} after ${ms} ms: ${code} (${begun}, generation ${generation}, ${incident}): ${message}`;
  });
  return [`${failed.length} failed`, ...lines].join('\n');
}
