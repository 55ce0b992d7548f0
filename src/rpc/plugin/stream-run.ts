import { NotSendable } from '../wire/wire-error.ts';
import type { RunningCall } from './call.ts';

/** Parts that are taken from a generator without a pause: others want the loop, too. */
const PARTS_A_TURN = 256;

export interface StreamTarget {
  /** Sends one part. @throws NotSendable */
  item(value: unknown): void;
  /** Whether parts may be sent as far as the connection is concerned; if not, `wake` of the call comes. */
  readonly hasRoom: boolean;
}

/**
 * Sends what a generator gives, as fast as the caller has credit for and reads.
 * @returns what it returned; undefined when the call was over before, and the generator has been ended.
 */
export async function sendParts(
  parts: AsyncIterable<unknown> | Iterable<unknown>,
  call: RunningCall,
  target: StreamTarget,
): Promise<unknown> {
  return drive(parts, call, async (value) => {
    while (!call.over && (call.credit === 0 || !target.hasRoom)) await woken(call);
    if (call.over) return;
    call.credit -= 1;
    target.item(value);
  });
}

/**
 * All parts as one array, for a caller that takes no streams.
 * @param sizeOf bytes that a part takes; it throws NotSendable.
 * @param most bytes that all of them may take together; beyond it throws NotSendable.
 */
export async function collectParts(
  parts: AsyncIterable<unknown> | Iterable<unknown>,
  call: RunningCall,
  sizeOf: (value: unknown) => number,
  most: number,
): Promise<unknown[]> {
  const collected: unknown[] = [];
  let bytes = 0;
  await drive(parts, call, (value) => {
    bytes += sizeOf(value);
    if (bytes > most) throw new NotSendable('too-large', `all parts together are over the limit of ${most} bytes`);
    collected.push(value);
    return undefined;
  });
  return collected;
}

/** Runs a generator whose parts nobody takes. */
export async function dropParts(parts: AsyncIterable<unknown> | Iterable<unknown>, call: RunningCall): Promise<void> {
  await drive(parts, call, () => undefined);
}

/** Whatever ends it, the generator is ended, too, so that its `finally` runs. */
async function drive(
  parts: AsyncIterable<unknown> | Iterable<unknown>,
  call: RunningCall,
  take: (value: unknown) => Promise<void> | undefined,
): Promise<unknown> {
  const iterator = Symbol.asyncIterator in parts ? parts[Symbol.asyncIterator]() : parts[Symbol.iterator]();
  let done = false;
  try {
    for (let count = 1; !call.over; count++) {
      const step = await iterator.next();
      if (step.done === true) {
        done = true;
        return step.value;
      }
      const taken = call.over ? undefined : take(step.value);
      if (taken !== undefined) await taken;
      if (count % PARTS_A_TURN === 0) await new Promise(setImmediate);
    }
    return undefined;
  } finally {
    // One that has thrown has ended itself, and ends once more without doing anything.
    if (!done) await iterator.return?.();
  }
}

function woken(call: RunningCall): Promise<void> {
  return new Promise((resolve) => {
    call.wake = resolve;
  });
}
