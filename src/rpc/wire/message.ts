import { LONGEST_METHOD_BYTES, MOST_ID } from './limits.ts';
import { type Meta, readMeta } from './meta.ts';
import { BadFrame } from './wire-error.ts';

/** The messages of docs/protocol.md. */
export type Message = Request | Response | Notification;

export interface Request {
  readonly kind: 'request';
  readonly id: number;
  readonly method: string;
  readonly params: readonly unknown[];
  readonly meta: Meta;
}

export interface Response {
  readonly kind: 'response';
  readonly id: number;
  /** null when the call went well. */
  readonly error: unknown;
  readonly result: unknown;
}

export interface Notification {
  readonly kind: 'notification';
  readonly method: string;
  readonly params: readonly unknown[];
}

/** The same as arrays, as they are sent. */
export type Outgoing =
  | readonly [type: 0, id: number, method: string, params: readonly unknown[]]
  | readonly [type: 0, id: number, method: string, params: readonly unknown[], meta: Meta]
  | readonly [type: 1, id: number, error: unknown, result: unknown]
  | readonly [type: 2, method: string, params: readonly unknown[]];

/** @throws BadFrame for anything else than a message. */
export function readMessage(value: unknown): Message {
  if (!Array.isArray(value)) throw new BadFrame('a message is not an array');
  const [type] = value as unknown[];
  switch (type) {
    case 0:
      return readRequest(value);
    case 1:
      return readResponse(value);
    case 2:
      return readNotification(value);
    default:
      throw new BadFrame('a message of an unknown type');
  }
}

function readRequest(value: readonly unknown[]): Request {
  const [, id, method, params, meta] = value;
  sized(value, 4, 'request');
  return {
    kind: 'request',
    id: checkId(id),
    method: checkMethod(method),
    params: checkParams(params),
    meta: readMeta(meta),
  };
}

function readResponse(value: readonly unknown[]): Response {
  const [, id, error, result, meta] = value;
  sized(value, 4, 'response');
  if (error !== null && result !== null) throw new BadFrame('a response with an error and a result');
  readMeta(meta);
  return { kind: 'response', id: checkId(id), error, result };
}

function readNotification(value: readonly unknown[]): Notification {
  const [, method, params, meta] = value;
  sized(value, 3, 'notification');
  readMeta(meta);
  return { kind: 'notification', method: checkMethod(method), params: checkParams(params) };
}

function sized(value: readonly unknown[], least: number, what: string): void {
  if (value.length < least || value.length > least + 1) throw new BadFrame(`a ${what} of ${value.length} elements`);
}

export function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MOST_ID;
}

function checkId(value: unknown): number {
  if (!isId(value)) throw new BadFrame('an id that is not an integer of 32 bits');
  return value;
}

function checkMethod(value: unknown): string {
  // Characters are at least one byte each, at most three.
  if (typeof value !== 'string' || value.length === 0 || value.length > LONGEST_METHOD_BYTES)
    throw new BadFrame(`a method that is not a string of 1 to ${LONGEST_METHOD_BYTES} bytes`);
  if (value.length > LONGEST_METHOD_BYTES / 3 && Buffer.byteLength(value) > LONGEST_METHOD_BYTES)
    throw new BadFrame(`a method of more than ${LONGEST_METHOD_BYTES} bytes`);
  return value;
}

function checkParams(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new BadFrame('parameters that are not an array');
  return value;
}
