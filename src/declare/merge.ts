import { isNull, type MapNode, mapNode, type TreeNode } from './tree.ts';

/**
 * Lays one tree over another: maps are merged key by key, lists and scalars replace, and null takes back what the lower
 * one said. Neither argument is changed.
 */
export function mergeTrees(lower: MapNode, upper: MapNode): MapNode {
  const merged = mapNode(upper.place);
  if (!upper.replaces) for (const [key, entry] of lower.entries) merged.entries.set(key, entry);
  for (const [key, { keyPlace, value }] of upper.entries) {
    const below = merged.entries.get(key)?.value;
    if (isNull(value)) merged.entries.delete(key);
    else merged.entries.set(key, { keyPlace, value: mergeValue(below, value) });
  }
  return merged;
}

function mergeValue(below: TreeNode | undefined, value: TreeNode): TreeNode {
  if (value.kind !== 'map') return value;
  // Also without anything below: nulls inside must go.
  return mergeTrees(below?.kind === 'map' ? below : mapNode(value.place), value);
}
