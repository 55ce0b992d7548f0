import type { TypeTree } from 'dbus-next/lib/signature.js';
import dbusSignature from 'dbus-next/lib/signature.js';

export type { TypeTree } from 'dbus-next/lib/signature.js';

/** Limits of the D-Bus specification, "Valid Signatures". */
const MAX_LENGTH = 255;
const MAX_NESTING = 32;

const BASIC = 'ybnqiuxtdsogh';

/** Parsed signatures; emptied when full, because peers choose the texts. */
const parsed = new Map<string, readonly TypeTree[]>();
const MAX_PARSED = 500;

/**
 * The types of a signature.
 * @throws Error with the reason when it is not a valid signature of the D-Bus specification.
 */
export function parseTypes(signature: string): readonly TypeTree[] {
  const known = parsed.get(signature);
  if (known !== undefined) return known;
  if (signature.length > MAX_LENGTH) throw new Error(`signature is longer than ${MAX_LENGTH}`);
  const types = dbusSignature.parseSignature(signature);
  for (const type of types) check(type, 0, 0);
  if (parsed.size >= MAX_PARSED) parsed.clear();
  parsed.set(signature, types);
  return types;
}

/** The one type of a signature that must be exactly one complete type, as in variants and properties. */
export function parseSingleType(signature: string): TypeTree {
  const types = parseTypes(signature);
  const [type] = types;
  if (type === undefined || types.length !== 1) throw new Error(`'${signature}' is not a single complete type`);
  return type;
}

export function typeText(type: TypeTree): string {
  return dbusSignature.collapseSignature(type);
}

/** True when descriptors would have to come with the values; we never negotiate that. */
export function hasDescriptors(signature: string): boolean {
  return signature.includes('h');
}

function check(type: TypeTree, arrays: number, structs: number): void {
  if (type.type === 'a') {
    if (arrays >= MAX_NESTING) throw new Error(`more than ${MAX_NESTING} arrays inside each other`);
    const [element] = type.child;
    if (element === undefined) throw new Error('array without an element type');
    if (element.type === '{') checkEntry(element, arrays + 1, structs);
    else check(element, arrays + 1, structs);
  } else if (type.type === '(') {
    if (structs >= MAX_NESTING) throw new Error(`more than ${MAX_NESTING} structs inside each other`);
    // An empty struct takes no bytes: an array of them would never end.
    if (type.child.length === 0) throw new Error('empty struct');
    for (const member of type.child) check(member, arrays, structs + 1);
  } else if (type.type !== 'v' && !BASIC.includes(type.type)) {
    throw new Error(`'${type.type}' is not a type here`);
  }
}

function checkEntry(entry: TypeTree, arrays: number, structs: number): void {
  if (structs >= MAX_NESTING) throw new Error(`more than ${MAX_NESTING} structs inside each other`);
  const [key, value] = entry.child;
  if (key === undefined || value === undefined || entry.child.length !== 2) {
    throw new Error('a dict entry has exactly a key and a value');
  }
  if (!BASIC.includes(key.type)) throw new Error('the key of a dict entry must be a basic type');
  check(value, arrays, structs + 1);
}
