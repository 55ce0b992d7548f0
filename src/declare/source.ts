import type { Origin } from './declaration.ts';
import { type Keys, PLUGIN_KEYS } from './keys.ts';
import { BUILT_IN } from './place.ts';
import { type MapNode, type TreeNode, treeOf } from './tree.ts';
import type { Reading } from './values.ts';

/** Looks values up, and notes on the way where each came from. */
export class Source {
  readonly origins = new Map<string, Origin>();
  readonly #root: MapNode;
  readonly #keys: Keys;

  constructor(root: MapNode, keys: Keys = PLUGIN_KEYS) {
    this.#root = root;
    this.#keys = keys;
  }

  find(key: string): TreeNode | undefined {
    let node: TreeNode | undefined = this.#root;
    for (const name of key.split('.')) node = node?.kind === 'map' ? node.entries.get(name)?.value : undefined;
    return node;
  }

  /** Text of a scalar, or of its default. */
  text(key: string): string {
    const node = this.find(key);
    this.note(key, node);
    return node?.kind === 'scalar' ? node.source : defaultText(key, this.#keys);
  }

  list(key: string): readonly TreeNode[] {
    const node = this.find(key);
    this.note(key, node);
    if (node?.kind !== 'list') return [];
    for (const [index, item] of node.items.entries()) this.note(`${key}[${index}]`, item);
    return node.items;
  }

  /** Of a list of words, their texts. */
  words(key: string): readonly string[] {
    return this.list(key).map(sourceOf);
  }

  /** A list, or, where nobody said one, its default. */
  listOr(key: string): readonly TreeNode[] {
    const node = this.find(key);
    if (node?.kind === 'list') return this.list(key);
    this.note(key, node);
    const fallback = treeOf(this.#keys.facts(key)?.default, BUILT_IN);
    return fallback.kind === 'list' ? fallback.items : [];
  }

  map(key: string): [string, string][] {
    const node = this.find(key);
    if (node?.kind !== 'map') return [];
    return [...node.entries].map(([name, { value }]) => {
      this.note(`${key}.${name}`, value);
      return [name, sourceOf(value)];
    });
  }

  note(path: string, node: TreeNode | undefined): void {
    if (node === undefined || node.place === BUILT_IN) this.origins.set(path, { kind: 'built-in' });
    else this.origins.set(path, { kind: 'file', ...node.place });
  }
}

/** The text of a field of a list's item, or its default. */
export function fieldOf(item: TreeNode, key: string, name: string): string {
  const node = item.kind === 'map' ? item.entries.get(name)?.value : undefined;
  return node?.kind === 'scalar' ? node.source : defaultText(`${key}.${name}`);
}

export function sourceOf(node: TreeNode): string {
  return node.kind === 'scalar' ? node.source : '';
}

export function defaultText(key: string, keys: Keys = PLUGIN_KEYS): string {
  const fallback = keys.facts(key)?.default;
  return fallback === undefined ? '' : String(fallback);
}

/** The tree was checked, so a refusal here is a defect: a reader and a default contradict each other. */
export function must<Value>(key: string, reading: Reading<Value>): Value {
  if ('refused' in reading) throw new Error(`'${key}' was checked, yet it is refused: ${reading.refused}`);
  return reading.value;
}
