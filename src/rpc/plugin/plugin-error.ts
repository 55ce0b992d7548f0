import { isErrorCode } from '../wire/error-value.ts';

/** An answer that a method gives instead of a result. */
export class PluginError extends Error {
  /** 1 to 64 of a-z, 0-9 and '-'. Those of docs/protocol.md keep their meaning. */
  readonly code: string;
  /** Anything that can be sent; undefined for nothing. */
  readonly data: unknown;
  /** The call was not begun, and may be sent to another sandbox as it is. */
  readonly retry: boolean;

  /** @throws RangeError for a code that is none. */
  constructor(code: string, message: string, data?: unknown, options: { readonly retry?: boolean } = {}) {
    super(message);
    if (!isErrorCode(code)) throw new RangeError(`'${code}' is not a code: 1 to 64 of a-z, 0-9 and '-'`);
    this.name = 'PluginError';
    this.code = code;
    this.data = data;
    this.retry = options.retry === true;
  }
}
