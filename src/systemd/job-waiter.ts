import type { Clock, Owned } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { Owner } from '../base/owner.ts';

/** How a job ended, in systemd's words (org.freedesktop.systemd1(5), JobRemoved). */
export type JobResult =
  | 'done'
  | 'canceled'
  | 'timeout'
  | 'failed'
  | 'dependency'
  | 'skipped'
  | 'invalid'
  | 'assert'
  | 'unsupported'
  | 'collected'
  | 'once'
  | 'frozen'
  | 'concurrency';

/** Results that came before anybody asked for them; on the private socket those of all jobs of the machine. */
const MAX_EARLY = 1000;

/** What a job is for: it decides how its end is recognised when the signal was missed. */
export type JobGoal = 'started' | 'stopped';

interface Waiter {
  readonly unit: string;
  readonly goal: JobGoal;
  readonly timer: Owned;
  readonly resolve: (result: JobResult) => void;
  readonly reject: (failure: Failure) => void;
}

/**
 * Brings together the path of a job, which the answer to a call gives, and its end, which a signal gives. The
 * signal may well be decoded before the caller sees the answer, so results that nobody waits for yet are kept.
 */
export class JobWaiter {
  readonly #clock: Clock;
  readonly #timers = new Owner('jobs');
  readonly #waiters = new Map<string, Waiter>();
  readonly #early = new Map<string, JobResult>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Jobs that somebody waits for. */
  get waiting(): readonly { readonly path: string; readonly unit: string; readonly goal: JobGoal }[] {
    return [...this.#waiters].map(([path, { unit, goal }]) => ({ path, unit, goal }));
  }

  /** Results that are kept for somebody who may still ask. */
  get early(): number {
    return this.#early.size;
  }

  /** @throws Failure BH502 when the job has not ended within `timeoutMs`; it goes on without us. */
  wait(path: string, unit: string, goal: JobGoal, timeoutMs: number): Promise<JobResult> {
    const known = this.#early.get(path);
    if (known !== undefined) {
      this.#early.delete(path);
      return Promise.resolve(known);
    }
    return new Promise((resolve, reject) => {
      const timer = this.#timers.own(
        this.#clock.after(timeoutMs, () => {
          this.#take(path);
          reject(new Failure('BH502', `job of '${unit}': not finished within ${timeoutMs} ms`));
        }),
      );
      this.#waiters.set(path, { unit, goal, timer, resolve, reject });
    });
  }

  removed(path: string, result: JobResult): void {
    const waiter = this.#take(path);
    if (waiter !== undefined) {
      waiter.resolve(result);
      return;
    }
    this.#early.set(path, result);
    if (this.#early.size > MAX_EARLY) this.#early.delete(this.#early.keys().next().value as string);
  }

  fail(path: string, failure: Failure): void {
    this.#take(path)?.reject(failure);
  }

  /** Job numbers may begin anew: what was kept would be taken for the result of another job. */
  forgetEarly(): void {
    this.#early.clear();
  }

  failAll(failure: Failure): void {
    for (const path of [...this.#waiters.keys()]) this.fail(path, failure);
    this.#early.clear();
  }

  #take(path: string): Waiter | undefined {
    const waiter = this.#waiters.get(path);
    if (waiter === undefined) return undefined;
    this.#waiters.delete(path);
    this.#timers.drop(waiter.timer);
    return waiter;
  }
}
