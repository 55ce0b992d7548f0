import type { Problem } from '../base/problem.ts';
import { checkTree } from './check-tree.ts';
import { type Grammar, PLUGIN_GRAMMAR } from './grammar.ts';
import { mergeTrees } from './merge.ts';
import { type MapNode, mapNode } from './tree.ts';
import type { ParsedText } from './yaml-tree.ts';

/** Checked texts that lie over each other. They are kept apart, because a null reaches through to what lies below them all. */
export class Layers {
  readonly #trees: MapNode[] = [];
  readonly #grammar: Grammar;
  readonly #narrow: (tree: MapNode, problems: Problem[]) => MapNode;
  isEmpty = true;
  /** Whether a text could not be read at all, so that anything may seem to be missing. */
  unread = false;
  readonly problems: Problem[] = [];
  readonly broken = new Set<string>();

  /** @param narrow takes out of a text what the grammar allows and these layers may not say, and adds why */
  constructor(
    grammar: Grammar = PLUGIN_GRAMMAR,
    narrow: (tree: MapNode, problems: Problem[]) => MapNode = (tree) => tree,
  ) {
    this.#grammar = grammar;
    this.#narrow = narrow;
  }

  add(parsed: ParsedText): void {
    this.problems.push(...parsed.problems);
    for (const key of parsed.broken ?? []) this.broken.add(key);
    if (parsed.tree === undefined) {
      this.unread ||= parsed.problems.length > 0;
      return;
    }
    this.isEmpty = false;
    const checked = checkTree(parsed.tree, this.#grammar);
    this.problems.push(...checked.problems);
    for (const path of checked.broken) this.broken.add(path);
    if (checked.tree === undefined) this.unread = true;
    else this.#trees.push(this.#narrow(checked.tree, this.problems));
  }

  /** All of them merged over a tree, by default over nothing. */
  over(lower: MapNode = mapNode({ file: '', line: 1, column: 1 })): MapNode {
    return this.#trees.reduce(mergeTrees, lower);
  }
}
