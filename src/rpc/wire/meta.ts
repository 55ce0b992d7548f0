import { LONGEST_IDEMPOTENCY_BYTES, LONGEST_TRACESTATE_BYTES, MOST_CREDIT, MOST_DEADLINE_MS } from './limits.ts';
import { BadFrame } from './wire-error.ts';

/** What a request says besides its parameters; all of it may be missing. */
export interface Meta {
  /** Milliseconds that are left, 1 to a day. */
  readonly deadline?: number;
  /** W3C trace context, version 00. */
  readonly traceparent?: string;
  readonly tracestate?: string;
  /** The same for all attempts at one call. */
  readonly idempotency?: string;
  /** Parts of the result that may come before there is more credit, 1 to 1024. */
  readonly stream?: number;
}

const NOTHING: Meta = Object.freeze({});
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Whether this is a W3C `traceparent` of version 00 that names a trace and a span. */
export function isTraceparent(value: unknown): value is string {
  return typeof value === 'string' && TRACEPARENT.test(value);
}

/**
 * Unknown keys are left out, and so is a trace context that is malformed: a caller's tracing must not cost it its call.
 * @throws BadFrame for a value that is outside of its type or range.
 */
export function readMeta(value: unknown): Meta {
  if (value === undefined) return NOTHING;
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value))
    throw new BadFrame('meta that is not a map');
  const { deadline, traceparent, tracestate, idempotency, stream } = value as Record<string, unknown>;
  const traced = isTraceparent(traceparent);
  return {
    ...(deadline === undefined ? {} : { deadline: integer(deadline, MOST_DEADLINE_MS, 'deadline') }),
    ...(traced ? { traceparent } : {}),
    ...(traced && isText(tracestate, LONGEST_TRACESTATE_BYTES) ? { tracestate } : {}),
    ...(idempotency === undefined ? {} : { idempotency: key(idempotency) }),
    ...(stream === undefined ? {} : { stream: integer(stream, MOST_CREDIT, 'stream') }),
  };
}

function integer(value: unknown, most: number, name: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > most)
    throw new BadFrame(`'${name}' is not an integer from 1 to ${most}`);
  return value;
}

function key(value: unknown): string {
  if (isText(value, LONGEST_IDEMPOTENCY_BYTES)) return value;
  throw new BadFrame(`'idempotency' is not a string of 1 to ${LONGEST_IDEMPOTENCY_BYTES} bytes`);
}

/** A string of 1 to so many bytes. */
export function isText(value: unknown, mostBytes: number): value is string {
  return (
    typeof value === 'string' && value.length > 0 && value.length <= mostBytes && Buffer.byteLength(value) <= mostBytes
  );
}
