import type { ErrorValue } from '../wire/error-value.ts';
import { NotSendable } from '../wire/wire-error.ts';
import { PluginError } from './plugin-error.ts';

/** What the caller is told of what a method threw, or of a result that cannot be sent. */
export function errorAnswer(error: unknown): ErrorValue {
  if (error instanceof PluginError) {
    const { code, message, data, retry } = error;
    return { code, message, data, retry };
  }
  if (error instanceof NotSendable) {
    const code = error.code === 'too-large' ? 'too-large' : 'failed';
    return { code, message: `the result: ${error.message}` };
  }
  return { code: 'failed', message: error instanceof Error ? error.message : String(error) };
}
