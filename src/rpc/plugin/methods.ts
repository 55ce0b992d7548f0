import { LONGEST_METHOD_BYTES } from '../wire/limits.ts';
import type { Call } from './call.ts';

/** Answers a call; the call's parameters come behind it. What it returns, or resolves to, is the result. */
export type Method = (call: Call, ...params: never[]) => unknown;

/** Answers in parts: an async generator, or a plain one. What it returns is the result behind the parts. */
export type StreamMethod = (call: Call, ...params: never[]) => AsyncIterable<unknown> | Iterable<unknown>;

export type Registered =
  | { readonly kind: 'method'; readonly run: (call: Call, ...params: readonly unknown[]) => unknown }
  | {
      readonly kind: 'stream';
      readonly run: (call: Call, ...params: readonly unknown[]) => AsyncIterable<unknown> | Iterable<unknown>;
    };

/** What a plugin can, by name. */
export class Methods {
  readonly #byName = new Map<string, Registered>();

  /** @throws RangeError for a name that no message can have, or that is taken. */
  add(name: string, method: Registered): void {
    const bytes = Buffer.byteLength(name);
    if (bytes === 0 || bytes > LONGEST_METHOD_BYTES || name.startsWith('$'))
      throw new RangeError(
        `'${name}' is not a name of a method: 1 to ${LONGEST_METHOD_BYTES} bytes, without '$' in front`,
      );
    if (this.#byName.has(name)) throw new RangeError(`there is a method '${name}' already`);
    this.#byName.set(name, method);
  }

  get(name: string): Registered | undefined {
    return this.#byName.get(name);
  }

  get names(): string[] {
    return [...this.#byName.keys()];
  }
}
