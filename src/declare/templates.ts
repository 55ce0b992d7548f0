import type { Place, Problem } from '../base/problem.ts';
import type { DeclarationText } from './declaration.ts';
import { Layers } from './layers.ts';
import { type MapNode, mapNode, quoteValue } from './tree.ts';
import { parseYaml } from './yaml-tree.ts';

/** Finds the texts of a template by name (its file, then its drop-ins), or undefined when there is none. */
export type TemplateTexts = (name: string) => readonly DeclarationText[] | undefined;

/** Templates that one declaration may bring in, all told. */
const MOST_TEMPLATES = 32;

/**
 * Brings in the templates that a declaration names, and those that they extend, each once: what a template extends
 * comes before it, and of several names the later ones win.
 */
export class TemplateResolver {
  /** All templates merged, without the key 'template'. */
  tree: MapNode = mapNode({ file: '', line: 1, column: 1 });
  readonly problems: Problem[] = [];
  readonly broken = new Set<string>();
  unread = false;
  readonly #texts: TemplateTexts;
  readonly #applied: string[] = [];
  /** Templates on the way from the declaration to here. */
  readonly #path: string[] = [];

  constructor(texts: TemplateTexts) {
    this.#texts = texts;
  }

  /** Names of the applied templates, those that win first. */
  get nearestFirst(): readonly string[] {
    return [...this.#applied].reverse();
  }

  /** Applies what this tree's key 'template' names. */
  extend(tree: MapNode): void {
    for (const { name, place } of namesIn(tree)) this.#apply(name, place);
  }

  #apply(name: string, place: Place): void {
    if (this.#path.includes(name)) {
      const circle = [...this.#path.slice(this.#path.indexOf(name)), name].join(' -> ');
      this.problems.push({ code: 'BH107', place, message: `templates extend each other in a circle: ${circle}` });
      return;
    }
    if (this.#applied.includes(name)) return;
    if (this.#applied.length + this.#path.length >= MOST_TEMPLATES) {
      this.problems.push({ code: 'BH112', place, message: `more than ${MOST_TEMPLATES} templates` });
      return;
    }
    const texts = this.#texts(name);
    if (texts === undefined) {
      this.problems.push({ code: 'BH106', place, message: `there is no template ${quoteValue(name)}` });
      this.unread = true;
      return;
    }
    const layers = new Layers();
    for (const { file, text } of texts) layers.add(parseYaml(file, text));
    this.problems.push(...layers.problems);
    for (const path of layers.broken) this.broken.add(path);
    this.unread ||= layers.unread;
    this.#path.push(name);
    this.extend(layers.over());
    this.#path.pop();
    this.#applied.push(name);
    this.tree = layers.over(this.tree);
    this.tree.entries.delete('template');
  }
}

function namesIn(tree: MapNode): { readonly name: string; readonly place: Place }[] {
  const node = tree.entries.get('template')?.value;
  if (node === undefined || node.kind === 'map') return [];
  const items = node.kind === 'list' ? node.items : [node];
  return items.flatMap((item) => (item.kind === 'scalar' ? [{ name: item.source, place: item.place }] : []));
}
