/** Bytes of a message until a greeting says otherwise. */
export const FIRST_FRAME_LIMIT = 4 * 1024 * 1024;
/** What a greeting may say: at least, at most. */
export const LEAST_FRAME_LIMIT = 64 * 1024;
export const MOST_FRAME_LIMIT = 64 * 1024 * 1024;
/** Bytes of a message of a peer that sends no lengths. */
export const BARE_FRAME_LIMIT = 1024 * 1024;
/** Bytes of the length before a message. */
export const LENGTH_BYTES = 4;

/** Arrays and maps in each other, the message's own among them. */
export const MOST_LEVELS = 32;
/** Bodies beside a message, and the bytes of one of them. */
export const MOST_BODIES = 16;
export const MOST_BODY_BYTES = 2 ** 30;

export const MOST_ID = 2 ** 32 - 1;
export const LONGEST_METHOD_BYTES = 128;
export const MOST_DEADLINE_MS = 86_400_000;
export const LONGEST_TRACESTATE_BYTES = 512;
export const LONGEST_IDEMPOTENCY_BYTES = 128;
/** Parts of a stream that may be asked for at a time, and that can be open. */
export const MOST_CREDIT = 1024;
export const MOST_OPEN_CREDIT = 65_536;
export const LONGEST_ERROR_BYTES = 1024;
export const LONGEST_NAME_BYTES = 64;
export const MOST_WINDOW = 1024;
