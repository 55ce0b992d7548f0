import assert from 'node:assert/strict';
import { CallError } from '../../src/rpc/client/client.ts';

/** The error that a call ends with, and it has to. */
export async function failureOf(promise: Promise<unknown>): Promise<CallError> {
  const outcome: unknown = await promise.then(
    (value) => assert.fail(`answered ${String(value)}`),
    (error: unknown) => error,
  );
  assert.ok(outcome instanceof CallError, String(outcome));
  return outcome;
}
