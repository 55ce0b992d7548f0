import { LONGEST_ERROR_BYTES } from './limits.ts';

/** The error of a response. */
export interface ErrorValue {
  readonly code: string;
  /** For people. */
  readonly message: string;
  readonly data?: unknown;
  /** The request was not begun, and may be sent to somebody else as it is. */
  readonly retry?: boolean;
}

const CODE = /^[a-z0-9-]{1,64}$/;

export function isErrorCode(value: unknown): value is string {
  return typeof value === 'string' && CODE.test(value);
}

/** An error as it is sent: a code that is none becomes `failed`, and a long message is cut. */
export function writeError(error: ErrorValue): ErrorValue {
  const { code, message, data, retry } = error;
  return {
    code: isErrorCode(code) ? code : 'failed',
    message: cutText(message, LONGEST_ERROR_BYTES),
    ...(data === undefined || data === null ? {} : { data }),
    ...(retry === true ? { retry } : {}),
  };
}

/** An error as it came: a plain server's may be anything, and is `remote`. */
export function readError(value: unknown): ErrorValue {
  if (typeof value === 'string') return { code: 'remote', message: cutText(value, LONGEST_ERROR_BYTES) };
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { code: 'remote', message: 'the server answered with an error', data: value };
  const { code, message, data, retry } = value as Record<string, unknown>;
  if (!isErrorCode(code)) return { code: 'remote', message: 'the server answered with an error', data: value };
  return {
    code,
    message: typeof message === 'string' ? cutText(message, LONGEST_ERROR_BYTES) : '',
    ...(data === undefined || data === null ? {} : { data }),
    ...(retry === true ? { retry } : {}),
  };
}

/** The longest beginning of a text that has at most so many bytes and does not end within a character. */
export function cutText(text: string, mostBytes: number): string {
  if (text.length * 3 <= mostBytes) return text;
  const bytes = Buffer.from(text.slice(0, mostBytes));
  if (bytes.length <= mostBytes && text.length <= mostBytes) return text;
  let end = Math.min(mostBytes, bytes.length);
  while (end > 0 && end < bytes.length && ((bytes[end] as number) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
