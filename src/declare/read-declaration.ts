import type { Place, Problem } from '../base/problem.ts';
import { findContradictions } from './contradictions.ts';
import { convert } from './convert.ts';
import type { Declaration, DeclarationText, Origins } from './declaration.ts';
import { Layers } from './layers.ts';
import { mergeTrees } from './merge.ts';
import { nowhere } from './place.ts';
import { whyNotPluginName } from './plugin-name.ts';
import { inOrder } from './problem-order.ts';
import { TemplateResolver, type TemplateTexts } from './templates.ts';
import { type MapNode, mapNode, type ScalarNode } from './tree.ts';
import { readSections } from './unit-section.ts';
import { AS_DECLARED, textAt, type VersionInForce, type VersionSource, versionLayers } from './version-layer.ts';
import { MOST_PROBLEMS, parseYaml } from './yaml-tree.ts';

export interface ReadResult {
  /** There when there are no problems. */
  readonly declaration?: Declaration;
  /** Where each value came from; empty when there are problems. */
  readonly origins: Origins;
  /** In the order of the texts, each by line and column. */
  readonly problems: readonly Problem[];
  /** The version that the texts name, whichever is in force; undefined when they name none, or have problems. */
  readonly declared?: string | undefined;
}

/**
 * Reads a plugin's declaration: templates first, then what the version in force says itself, then its YAML texts in order,
 * then the [X-Plugin] sections of its unit texts; later ones win. Never throws for any text, and reports all problems of
 * all texts at once.
 */
export function readDeclaration(
  name: string,
  texts: readonly DeclarationText[],
  templates: TemplateTexts,
  versions: VersionSource = AS_DECLARED,
): ReadResult {
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
  const declared = textAt(own.over(resolver.tree), 'version');
  const chosen = versions.inForce(declared);
  const version = chosen === undefined ? declared : chosen.version;
  const brought = version === undefined ? [] : versions.texts(version);
  const said = versionLayers(brought);
  const tree = withVersion(own.over(said.over(resolver.tree)), chosen);
  const problems = [...own.problems, ...said.problems, ...resolver.problems];
  const broken = new Set([...own.broken, ...said.broken, ...resolver.broken]);
  const unread = own.unread || said.unread || resolver.unread;
  if (!tree.entries.has('exec') && !broken.has('exec') && !unread) {
    problems.push({
      code: 'BH105',
      place: start,
      message: "the key 'exec' is missing",
      hint: 'name a template that has it, or add it: [PROGRAM, ARGUMENT, ...]',
    });
  }
  const converted = convert(name, tree, resolver.nearestFirst);
  const { declaration } = converted;
  const origins = new Map(converted.origins);
  if (chosen !== undefined) origins.set('version', { kind: 'upgrade', what: chosen.what });
  const files = new Set(brought.map(({ file }) => file));
  if (!unread) problems.push(...findContradictions(declaration, origins, broken, files));
  return problems.length === 0 ? { declaration, origins, problems, declared } : failed(inOrder(problems));
}

/** The version as it was chosen, whatever the texts say. */
function withVersion(tree: MapNode, chosen: VersionInForce | undefined): MapNode {
  if (chosen === undefined) return tree;
  const { version, what } = chosen;
  const place = nowhere(what);
  const layer = mapNode(tree.place);
  const value: ScalarNode = { kind: 'scalar', place, value: version ?? null, source: version ?? '' };
  layer.entries.set('version', { keyPlace: place, value });
  return mergeTrees(tree, layer);
}

function failed(problems: readonly Problem[]): ReadResult {
  return { origins: new Map(), problems: problems.slice(0, MOST_PROBLEMS) };
}
