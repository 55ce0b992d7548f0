import messages from 'dbus-next/lib/message.js';
import validators from 'dbus-next/lib/validators.js';
import { Failure } from '../base/failure.ts';
import { parseSingleType, parseTypes, type TypeTree } from './signature.ts';
import { MESSAGE, type Outgoing, Variant } from './wire.ts';

/** dbus-daemon ends the connection of who sends more than 32 MiB at once; half of it is ample for us. */
export const MAX_OUTGOING_BYTES = 16 * 1024 * 1024;

/** Variants inside variants; the D-Bus specification allows 64 levels of containers in all. */
const MAX_DEPTH = 60;

/** 2^64-1, which systemd reads as "no limit". */
const INFINITY = 0xffff_ffff_ffff_ffffn;

const UNIQUE_NAME = /^:[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$/;

const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  y: [0, 0xff],
  n: [-0x8000, 0x7fff],
  q: [0, 0xffff],
  i: [-0x8000_0000, 0x7fff_ffff],
  u: [0, 0xffff_ffff],
  x: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  t: [0, Number.MAX_SAFE_INTEGER],
};

/**
 * The bytes of a message. Everything is checked here, before anything is queued: dbus-next lets through object
 * paths, names and descriptors for which the bus daemon ends the whole connection.
 * @throws Failure BH503 that names the argument and what is wrong with it.
 */
export function encode(message: Outgoing, serial: number): Buffer {
  try {
    checkHead(message);
    const signature = message.signature ?? '';
    const body = toMembers(parseTypes(signature), message.body ?? [], 'body', 0);
    const [bytes] = messages.marshall({
      type: message.type,
      flags: message.flags ?? 0,
      serial,
      path: message.path,
      interface: message.interface,
      member: message.member,
      errorName: message.errorName,
      replySerial: message.replySerial,
      destination: message.destination,
      ...(body.length === 0 ? {} : { signature, body }),
    });
    if (bytes.length > MAX_OUTGOING_BYTES)
      throw new Error(`it has ${bytes.length} bytes, ${MAX_OUTGOING_BYTES} are allowed`);
    return bytes;
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new Failure('BH503', `${message.member ?? message.errorName ?? 'reply'}: ${reason}`, { cause: thrown });
  }
}

function checkHead(message: Outgoing): void {
  const { destination, path, interface: iface, member, errorName } = message;
  if (
    destination !== undefined &&
    !(destination.startsWith(':') ? UNIQUE_NAME.test(destination) : validators.isBusNameValid(destination))
  ) {
    throw new Error(`'${destination}' is not a bus name`);
  }
  if (path !== undefined && !validators.isObjectPathValid(path)) throw new Error(`'${path}' is not an object path`);
  if (iface !== undefined && !validators.isInterfaceNameValid(iface))
    throw new Error(`'${iface}' is not an interface name`);
  if (member !== undefined && !validators.isMemberNameValid(member))
    throw new Error(`'${member}' is not a member name`);
  if (errorName !== undefined && !validators.isInterfaceNameValid(errorName)) {
    throw new Error(`'${errorName}' is not an error name`);
  }
  if (message.type === MESSAGE.call && (path === undefined || member === undefined)) {
    throw new Error('a call needs a path and a member');
  }
  if (message.type === MESSAGE.signal && (path === undefined || iface === undefined || member === undefined)) {
    throw new Error('a signal needs a path, an interface and a member');
  }
}

function toMembers(types: readonly TypeTree[], values: unknown, where: string, depth: number): unknown[] {
  if (!Array.isArray(values)) throw new Error(`${where}: a list is needed`);
  if (values.length !== types.length)
    throw new Error(`${where}: ${types.length} values are needed, not ${values.length}`);
  return types.map((type, index) => toWire(type, values[index], `${where}[${index}]`, depth));
}

/** Turns a value into the marshaller's form, checking it on the way. */
function toWire(type: TypeTree, value: unknown, where: string, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new Error(`${where}: nested too deeply`);
  switch (type.type) {
    case 'b':
      if (typeof value !== 'boolean') throw new Error(`${where}: a boolean is needed`);
      return value;
    case 'd':
      if (typeof value !== 'number' || !Number.isFinite(value)) throw new Error(`${where}: a finite number is needed`);
      return value;
    case 's':
      return text(value, where);
    case 'o':
      if (!validators.isObjectPathValid(text(value, where)))
        throw new Error(`${where}: '${value}' is not an object path`);
      return value;
    case 'g':
      parseTypes(text(value, where));
      return value;
    case 'h':
      throw new Error(`${where}: descriptors are not passed over D-Bus`);
    case 'v':
      if (!(value instanceof Variant)) throw new Error(`${where}: a Variant is needed`);
      return [value.signature, toWire(parseSingleType(value.signature), value.value, where, depth + 1)];
    case '(':
      return toMembers(type.child, value, where, depth + 1);
    case 'a':
      return toList(type.child[0] as TypeTree, value, where, depth + 1);
    default:
      return integer(type.type, value, where);
  }
}

function toList(element: TypeTree, value: unknown, where: string, depth: number): unknown {
  if (element.type === 'y' && value instanceof Uint8Array) return value;
  if (element.type === '{') {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new Error(`${where}: an object or Map is needed`);
    const entries: readonly (readonly [unknown, unknown])[] = value instanceof Map ? [...value] : Object.entries(value);
    return entries.map((entry) => toMembers(element.child, entry, `${where}.${String(entry[0])}`, depth));
  }
  if (!Array.isArray(value)) throw new Error(`${where}: a list is needed`);
  return Array.from(value, (item, index) => toWire(element, item, `${where}[${index}]`, depth));
}

function text(value: unknown, where: string): string {
  if (typeof value !== 'string') throw new Error(`${where}: a string is needed`);
  if (value.includes('\0')) throw new Error(`${where}: a string must not contain NUL`);
  return value;
}

function integer(type: string, value: unknown, where: string): number | bigint {
  const range = RANGES[type];
  if (range === undefined) throw new Error(`${where}: type '${type}' cannot be sent`);
  if (type === 't' && value === 'infinity') return INFINITY;
  const [least, most] = range;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    throw new Error(`${where}: an integer from ${least} to ${most} is needed`);
  }
  return value;
}
