import { Call } from './call.ts';
import type { CallError } from './call-error.ts';

/** A call with one result. */
export class PlainCall extends Call {
  #resolve: ((result: unknown) => void) | undefined;
  #reject: ((error: CallError) => void) | undefined;

  /** Who is told how it ended. */
  settle(resolve: (result: unknown) => void, reject: (error: CallError) => void): void {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override item(): boolean {
    return false;
  }

  protected override deliver(result: unknown): void {
    this.#resolve?.(result);
  }

  protected override refuse(error: CallError): void {
    this.#reject?.(error);
  }
}
