import type { Place, Problem } from '../base/problem.ts';
import { findContradictions } from './contradictions.ts';
import { convert } from './convert.ts';
import type { Declaration, DeclarationText, Origins } from './declaration.ts';
import { Layers } from './layers.ts';
import { whyNotPluginName } from './plugin-name.ts';
import { inOrder } from './problem-order.ts';
import { TemplateResolver, type TemplateTexts } from './templates.ts';
import { readSections } from './unit-section.ts';
import { MOST_PROBLEMS, parseYaml } from './yaml-tree.ts';

export interface ReadResult {
  /** There when there are no problems. */
  readonly declaration?: Declaration;
  /** Where each value came from; empty when there are problems. */
  readonly origins: Origins;
  /** In the order of the texts, each by line and column. */
  readonly problems: readonly Problem[];
}

/**
 * Reads a plugin's declaration: templates first, then its YAML texts in order, then the [X-Plugin] sections of its unit
 * texts; later ones win. Never throws for any text, and reports all problems of all texts at once.
 */
export function readDeclaration(name: string, texts: readonly DeclarationText[], templates: TemplateTexts): ReadResult {
  const start: Place = { file: texts[0]?.file ?? `/etc/bulkhead/plugins/${name}.yaml`, line: 1, column: 1 };
  const whyNot = whyNotPluginName(name);
  if (whyNot !== undefined) {
    const shown = name.slice(0, 60).replace(/\p{Cc}/gu, '?');
    return failed([{ code: 'BH109', place: start, message: `'${shown}' cannot name a plugin: ${whyNot}` }]);
  }
  const own = new Layers();
  for (const { file, text, format } of texts) if (format === 'yaml') own.add(parseYaml(file, text));
  own.add(readSections(texts.filter(({ format }) => format === 'unit')));
  if (own.isEmpty && own.problems.length === 0) {
    return failed([{ code: 'BH108', place: start, message: `there is no declaration for '${name}'` }]);
  }
  const resolver = new TemplateResolver(templates);
  resolver.extend(own.over());
  const tree = own.over(resolver.tree);
  const problems = [...own.problems, ...resolver.problems];
  const broken = new Set([...own.broken, ...resolver.broken]);
  const unread = own.unread || resolver.unread;
  if (!tree.entries.has('exec') && !broken.has('exec') && !unread) {
    problems.push({
      code: 'BH105',
      place: start,
      message: "the key 'exec' is missing",
      hint: 'name a template that has it, or add it: [PROGRAM, ARGUMENT, ...]',
    });
  }
  const { declaration, origins } = convert(name, tree, resolver.nearestFirst);
  if (!unread) problems.push(...findContradictions(declaration, origins, broken));
  return problems.length === 0 ? { declaration, origins, problems } : failed(inOrder(problems));
}

function failed(problems: readonly Problem[]): ReadResult {
  return { origins: new Map(), problems: problems.slice(0, MOST_PROBLEMS) };
}
