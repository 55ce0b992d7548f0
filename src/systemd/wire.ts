/** The vocabulary of D-Bus messages that the rest of the door shares. */

/** Message types and flags of the D-Bus specification, "Message Format". */
export const MESSAGE = { call: 1, return: 2, error: 3, signal: 4 } as const;
export const FLAG = { noReplyExpected: 1, noAutoStart: 2, allowInteractiveAuthorization: 4 } as const;

/** A value with its type. Outgoing bodies need it wherever the signature says `v`; incoming ones contain it. */
export class Variant {
  readonly signature: string;
  readonly value: unknown;

  constructor(signature: string, value: unknown) {
    this.signature = signature;
    this.value = value;
  }
}

/**
 * The same value without any Variant around or inside: `{a: Variant('s', 'x')}` becomes `{a: 'x'}`.
 * Bytes stay bytes.
 */
export function plain(value: unknown): unknown {
  if (value instanceof Variant) return plain(value.value);
  if (value instanceof Uint8Array || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  const result: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) setOwn(result, key, plain(member));
  return result;
}

/** Assigns a key that a peer chose: `__proto__` must become a key like any other. */
export function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[key] = value;
  }
}

/** The header of a received message; which fields are there depends on the type, and was checked. */
export interface Head {
  readonly type: number;
  readonly flags: number;
  readonly serial: number;
  readonly path: string | undefined;
  readonly interface: string | undefined;
  readonly member: string | undefined;
  readonly errorName: string | undefined;
  readonly replySerial: number | undefined;
  readonly destination: string | undefined;
  /** The unique name of the sender as the bus daemon wrote it; it cannot be forged. */
  readonly sender: string | undefined;
  readonly signature: string;
}

/** A received message whose body is still bytes: who only looks at headers never pays for bodies. */
export interface Incoming {
  readonly head: Head;
  /** Size of the body in bytes. */
  readonly size: number;
  /** The first argument when it is a string, without decoding the rest (D-Bus calls it arg0). */
  firstString(): string | undefined;
  /**
   * The arguments. 64-bit integers are numbers, 2^64-1 is 'infinity' (beyond 2^53 the nearest number).
   * @throws Error when the bytes do not match the signature.
   */
  body(): unknown[];
}

/** What goes into a message that we send. */
export interface Outgoing {
  readonly type: number;
  readonly flags?: number;
  readonly destination?: string | undefined;
  readonly path?: string | undefined;
  readonly interface?: string | undefined;
  readonly member?: string | undefined;
  readonly errorName?: string | undefined;
  readonly replySerial?: number | undefined;
  readonly signature?: string | undefined;
  readonly body?: readonly unknown[] | undefined;
}
