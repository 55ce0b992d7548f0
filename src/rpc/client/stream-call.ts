import type { Meta } from '../wire/meta.ts';
import type { Attempt } from './attempt.ts';
import { Call, type Switchboard } from './call.ts';
import type { CallError } from './call-error.ts';
import type { StreamRules } from './call-rules.ts';
import type { Loss } from './link.ts';
import { StreamBuffer } from './stream-buffer.ts';

/** A call whose result comes in parts. */
export class StreamCall extends Call {
  readonly #rules: StreamRules;
  readonly #buffer: StreamBuffer<unknown>;
  /** Since when there is no part for whoever wants one. */
  #quietSince: number;
  /** Parts that came, of all attempts. */
  #received = 0;

  constructor(board: Switchboard, method: string, params: readonly unknown[], rules: StreamRules, now: number) {
    super(board, method, params, rules, now);
    this.#rules = rules;
    this.#buffer = new StreamBuffer(rules.credit);
    this.#quietSince = now;
  }

  /** The next part, or the end. @throws CallError */
  take(): Promise<IteratorResult<unknown, unknown>> {
    this.#quietSince = performance.now();
    const next = this.#buffer.take();
    this.#refill();
    return next;
  }

  /** Nobody takes any more. */
  stop(): void {
    this.#buffer.drop();
    if (!this.over) this.finish(undefined, performance.now());
  }

  /** Once a part has come from one, another one would send it again. */
  override get mayRunTwice(): boolean {
    return this.#received === 0 && super.mayRunTwice;
  }

  override send(attempt: Attempt, now: number): void {
    // There is one that sends: another one takes its place.
    this.attempt?.abandon();
    this.attempt = undefined;
    this.#quietSince = now;
    super.send(attempt, now);
  }

  override answered(attempt: Attempt, error: unknown, result: unknown, now: number): void {
    // Who cannot send parts answers with all of them.
    if (error === null && !attempt.sendsParts && Array.isArray(result)) {
      this.#buffer.fill(result);
      super.answered(attempt, null, undefined, now);
    } else super.answered(attempt, error, result, now);
  }

  override item(value: unknown, now: number): boolean {
    if (!this.#buffer.put(value)) return false;
    this.#received++;
    this.#quietSince = now;
    this.#refill();
    return true;
  }

  override lost(attempt: Attempt, loss: Loss): void {
    const { resume } = this.#rules;
    if (this.#received > 0 && resume !== undefined && !this.over) this.params = resume(this.#received);
    super.lost(attempt, loss);
  }

  override tick(now: number, shunned: boolean): void {
    if (this.#buffer.wanted && now - this.#quietSince >= this.#rules.idleMs) {
      this.attempt?.fellSilent(now);
      this.expire(`no part of the stream within ${Math.round(this.#rules.idleMs)} ms`);
    } else super.tick(now, shunned);
  }

  protected override repeatable(): boolean {
    return this.#received === 0 || this.#rules.resume !== undefined;
  }

  protected override meta(now: number): Meta {
    return { ...super.meta(now), stream: this.#buffer.restart() };
  }

  protected override deliver(result: unknown): void {
    this.#buffer.end(result);
  }

  protected override refuse(error: CallError): void {
    this.#buffer.fail(error);
  }

  #refill(): void {
    if (this.attempt === undefined) return;
    const parts = this.#buffer.refill();
    if (parts > 0) this.attempt.credit(parts);
  }
}
