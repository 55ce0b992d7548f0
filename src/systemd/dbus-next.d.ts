/**
 * What bulkhead uses of dbus-next 0.10.2: its wire codec, by deep imports.
 *
 * dbus-next's own typings name none of these modules and are wrong in places. Its connection, bus, proxy
 * and service classes are not used on purpose: they lose connections silently, never time out, leak match
 * rules, and can be crashed by any local user (see safe-decoder.ts and bus.ts for what takes their place).
 */

declare module 'dbus-next/lib/signature.js' {
  /** A type; the children are the array's element, the members of a struct, or key and value of a dict entry. */
  export interface TypeTree {
    readonly type: string;
    readonly child: readonly TypeTree[];
  }
  const signature: {
    /** Splits a signature into its types. Accepts much that is no signature. */
    parseSignature(text: string): TypeTree[];
    collapseSignature(type: TypeTree): string;
  };
  export default signature;
}

declare module 'dbus-next/lib/validators.js' {
  const validators: {
    isBusNameValid(name: string): boolean;
    isObjectPathValid(path: string): boolean;
    isInterfaceNameValid(name: string): boolean;
    isMemberNameValid(name: string): boolean;
  };
  export default validators;
}

declare module 'dbus-next/lib/message.js' {
  /** A message in the marshaller's form: a variant is `[signature, value]`, a dict a list of `[key, value]`. */
  export interface MarshalledMessage {
    type: number;
    flags: number;
    serial: number;
    path?: string | undefined;
    interface?: string | undefined;
    member?: string | undefined;
    errorName?: string | undefined;
    replySerial?: number | undefined;
    destination?: string | undefined;
    signature?: string | undefined;
    body?: unknown[] | undefined;
  }
  const message: {
    /** The bytes of the message and the descriptors that belong to them. Throws on most values that do not fit. */
    marshall(message: MarshalledMessage): [Buffer, unknown[]];
  };
  export default message;
}

declare module 'dbus-next/lib/dbus-buffer.js' {
  import type { TypeTree } from 'dbus-next/lib/signature.js';
  /** Reads marshalled values; checks no bounds by itself. */
  export default class DBusBuffer {
    constructor(buffer: Buffer, startPos: number, endian: number);
    readonly buffer: Buffer;
    readonly endian: number;
    pos: number;
    /** Advances to a multiple of 2 to the power given. */
    align(power: number): void;
    readInt8(): number;
    readInt32(): number;
    readString(length: number): string;
    readTree(type: TypeTree): unknown;
    readStruct(types: readonly TypeTree[]): unknown[];
    readArray(element: TypeTree, bytes: number): unknown;
    readVariant(): unknown;
    readSimpleType(type: string): unknown;
  }
}
