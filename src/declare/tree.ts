import type { Place } from '../base/problem.ts';

/** A declaration's text as a tree in which everything knows its place, whatever the text's format was. */
export type TreeNode = MapNode | ListNode | ScalarNode;

export interface MapNode {
  readonly kind: 'map';
  readonly place: Place;
  readonly entries: Map<string, Entry>;
  /** Takes the place of what lower texts said, instead of being merged with it. */
  readonly replaces: boolean;
}

export interface Entry {
  readonly keyPlace: Place;
  readonly value: TreeNode;
}

export interface ListNode {
  readonly kind: 'list';
  readonly place: Place;
  readonly items: readonly TreeNode[];
}

export interface ScalarNode {
  readonly kind: 'scalar';
  readonly place: Place;
  readonly value: string | number | boolean | null;
  /** The value as it was written: `1.0`, where `value` is 1. */
  readonly source: string;
}

export function mapNode(place: Place, replaces = false): MapNode {
  return { kind: 'map', place, entries: new Map(), replaces };
}

export function isNull(node: TreeNode): boolean {
  return node.kind === 'scalar' && node.value === null;
}

/** Plain values, for the schema. Maps have no prototype, so that a key such as `__proto__` is a key like any other. */
export function toPlain(node: TreeNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(toPlain);
  const plain: Record<string, unknown> = Object.create(null);
  for (const [key, { value }] of node.entries) plain[key] = toPlain(value);
  return plain;
}

/** A plain value, a default of the schema for one, as a tree. */
export function treeOf(value: unknown, place: Place): TreeNode {
  if (Array.isArray(value)) return { kind: 'list', place, items: value.map((item) => treeOf(item, place)) };
  if (typeof value === 'object' && value !== null) {
    const map = mapNode(place);
    for (const [key, inner] of Object.entries(value))
      map.entries.set(key, { keyPlace: place, value: treeOf(inner, place) });
    return map;
  }
  const isScalar = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
  return { kind: 'scalar', place, value: isScalar ? value : null, source: isScalar ? String(value) : '' };
}

/** The value, for messages: in ticks as it was written, shortened; or what kind of thing it is. */
export function describeNode(node: TreeNode): string {
  if (node.kind === 'list') return node.items.length === 0 ? 'an empty list' : 'a list';
  if (node.kind === 'map') return 'a map';
  if (node.value === null) return 'nothing';
  return quoteValue(node.source);
}

/** A text in single ticks, without control characters, shortened to one line. */
export function quoteValue(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return `'${short.replace(/[\p{Cc}\p{Cs}\u2028\u2029]/gu, '?')}'`;
}
