import type { Place, Problem } from '../base/problem.ts';
import type { DeclarationText } from './declaration.ts';
import { PLUGIN_GRAMMAR } from './grammar.ts';
import { Layers } from './layers.ts';
import { isNull, type MapNode, mapNode } from './tree.ts';
import { parseYaml } from './yaml-tree.ts';

/** What decides about a plugin's version beside its declaration, and what a version says itself. */
export interface VersionSource {
  /** The version that is in force where the texts name this one; undefined when it is that one. */
  inForce(declared: string | undefined): VersionInForce | undefined;
  /** What the version brings along: its own plugin.yaml, or nothing. */
  texts(version: string): readonly DeclarationText[];
}

/** A version that somebody chose after the declaration was written; undefined for none. */
export interface VersionInForce {
  readonly version: string | undefined;
  /** Who chose it, in words: `upgrade of 2026-11-26 by uid 0`. */
  readonly what: string;
}

/** For texts that stand for themselves. */
export const AS_DECLARED: VersionSource = { inForce: () => undefined, texts: () => [] };

/**
 * What a version may say: how its program is called, and how it shows that it is well. It was made by whoever made the
 * program, so nothing counts that lets a sandbox do, see or use more, that makes the host do something, or that changes
 * how the version itself is judged.
 */
const MAY_SAY = ['exec', 'environment', 'health', 'stop.signal', 'upgrade.signal', 'upgrade.judge.metrics'] as const;

/** The texts of a version, checked as declarations are, and held to what a version may say. */
export function versionLayers(texts: readonly DeclarationText[]): Layers {
  const layers = new Layers(PLUGIN_GRAMMAR, (tree, problems) => sayable(tree, '', problems));
  for (const { file, text } of texts) layers.add(parseYaml(file, text));
  return layers;
}

function sayable(tree: MapNode, above: string, problems: Problem[]): MapNode {
  const kept = mapNode(tree.place, tree.replaces);
  for (const [name, { keyPlace, value }] of tree.entries) {
    const key = above === '' ? name : `${above}.${name}`;
    const isGroup = MAY_SAY.some((each) => each.startsWith(`${key}.`));
    if (MAY_SAY.some((each) => each === key)) kept.entries.set(name, { keyPlace, value });
    // Nothing in place of a group would take back all that templates say of it.
    else if (isGroup && value.kind === 'map')
      kept.entries.set(name, { keyPlace, value: sayable(value, key, problems) });
    else {
      problems.push(unsayable(key, keyPlace, problems));
    }
  }
  return kept;
}

/** The first one has the list of what would be right. */
function unsayable(key: string, place: Place, before: readonly Problem[]): Problem {
  const message = `'${key}' is not for a version to say, only for the declaration and its templates`;
  const isFirst = before.every(({ code }) => code !== 'BH120');
  return { code: 'BH120', place, message, ...(isFirst ? { hint: `a version may say ${MAY_SAY.join(', ')}` } : {}) };
}

/** What is said of a key that has a text. */
export function textAt(tree: MapNode, key: string): string | undefined {
  const node = tree.entries.get(key)?.value;
  return node?.kind === 'scalar' && !isNull(node) ? node.source : undefined;
}
