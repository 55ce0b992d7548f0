import type { FailureCode } from '../base/failure.ts';
import { nearest } from '../base/nearest.ts';
import type { Place, Problem } from '../base/problem.ts';
import { type Grammar, PLUGIN_GRAMMAR, type SchemaError } from './grammar.ts';
import { type KeyFacts, keyBelow } from './keys.ts';
import {
  describeNode,
  type Entry,
  type MapNode,
  mapNode,
  quoteValue,
  type ScalarNode,
  type TreeNode,
  toPlain,
} from './tree.ts';
import { unknownKey } from './unknown-key.ts';
import { isReservedVariable } from './values.ts';
import { MOST_PROBLEMS } from './yaml-tree.ts';

/** What a name belongs to, and how it has to be. */
const NAME_RULES = {
  environment: ['variable', 'use letters, digits and "_", at most 128, and begin with a letter or "_"'],
  credentials: ['credential', 'use letters, digits, "_", "." and "-", at most 64, and do not begin with "." or "-"'],
} as const;

/** A node of the tree with its names: `path` for people (`listen[0].tcp`), `key` for the schema (`listen[].tcp`). */
interface Spot {
  readonly path: string;
  readonly key: string;
  readonly node: TreeNode;
  readonly keyPlace: Place;
}

export interface CheckedTree {
  /** The tree without the values that are wrong; absent when so much is wrong that the search was given up. */
  readonly tree?: MapNode;
  readonly problems: readonly Problem[];
  /** Paths of what was wrong, so that nobody complains that it is missing. */
  readonly broken: ReadonlySet<string>;
}

/** Checks one text on its own: every key and every value, but nothing that depends on other texts. */
export function checkTree(tree: MapNode, grammar: Grammar = PLUGIN_GRAMMAR): CheckedTree {
  const checker = new TreeChecker(tree, grammar);
  checker.checkSchema();
  checker.checkValues({ path: '', key: '', node: tree, keyPlace: tree.place });
  const { problems, broken } = checker;
  return checker.isFull ? { problems, broken } : { tree: prune(tree, '', broken) as MapNode, problems, broken };
}

class TreeChecker {
  readonly problems: Problem[] = [];
  readonly broken = new Set<string>();
  readonly #root: MapNode;
  readonly #grammar: Grammar;

  constructor(root: MapNode, grammar: Grammar) {
    this.#root = root;
    this.#grammar = grammar;
  }

  get isFull(): boolean {
    return this.problems.length >= MOST_PROBLEMS;
  }

  checkSchema(): void {
    for (const error of this.#grammar.errors(toPlain(this.#root))) {
      if (this.isFull) return;
      this.#explain(error);
    }
  }

  /** Lets the readers of `values.ts` judge each scalar that the schema had nothing against. */
  checkValues(spot: Spot): void {
    const { node, path } = spot;
    if (this.isFull || this.broken.has(path)) return;
    if (node.kind === 'scalar') {
      if (node.value !== null) this.#readScalar(spot, node);
      return;
    }
    for (const inner of spotsBelow(spot)) {
      if (spot.key === 'environment' && !this.broken.has(inner.path) && isReservedVariable(nameOf(inner))) {
        this.#add('BH104', inner.keyPlace, `'${inner.path}' cannot be set: bulkhead sets '${nameOf(inner)}' itself`);
        this.broken.add(inner.path);
      }
      this.checkValues(inner);
    }
  }

  #readScalar(spot: Spot, node: ScalarNode): void {
    const reading = this.#grammar.readers.get(spot.key)?.(node.source);
    if (reading === undefined || !('refused' in reading)) return;
    this.#wrongValue('BH104', spot, reading.refused, reading.hint);
  }

  #explain(error: SchemaError): void {
    // The parts of 'oneOf' and 'propertyNames' come on their own, too.
    if (error.schemaPath.includes('/oneOf/') || error.propertyName !== undefined) return;
    const spot = this.#find(error.instancePath);
    if (spot === undefined) return;
    switch (error.keyword) {
      case 'additionalProperties':
        return this.#unknown(spot, String(error.params.additionalProperty));
      case 'propertyNames':
        return this.#wrongName(spot, String(error.params.propertyName));
      case 'oneOf':
        return this.#tcpOrUnix(spot, Array.isArray(error.params.passingSchemas));
      case 'required':
        return this.#missing(spot, String(error.params.missingProperty));
      case 'dependentRequired':
        return this.#unixOnly(spot, String(error.params.property));
      case 'type':
        return this.#wrongValue('BH103', spot, '', typeHint(spot, this.#grammar));
      case 'maxItems':
      case 'maxProperties':
        return this.#wrongValue(
          'BH104',
          spot,
          `at most ${error.params.limit} ${error.params.limit === 1 ? 'is' : 'are'} allowed`,
        );
      default: {
        const reading =
          spot.node.kind === 'scalar' ? this.#grammar.readers.get(spot.key)?.(spot.node.source) : undefined;
        const refusal = reading !== undefined && 'refused' in reading ? reading : { refused: '' };
        return this.#wrongValue('BH104', spot, refusal.refused, refusal.hint ?? wordHint(spot, this.#grammar));
      }
    }
  }

  #unknown(parent: Spot, name: string): void {
    const entry = entryOf(parent.node, name);
    if (entry === undefined) return;
    const shown = parent.key.includes('*') ? parent.path : parent.key;
    const { problem, meant } = unknownKey(entry.keyPlace, parent.key, name, shown, this.#grammar.keys);
    this.problems.push(problem);
    this.broken.add(join(parent.path, name));
    if (meant !== undefined) this.broken.add(meant);
  }

  #wrongName(parent: Spot, name: string): void {
    const place = entryOf(parent.node, name)?.keyPlace ?? parent.node.place;
    const [what, hint] = NAME_RULES[parent.key === 'credentials' ? 'credentials' : 'environment'];
    this.#add('BH104', place, `${quoteValue(name)} cannot be the name of a ${what}`, hint);
    this.broken.add(join(parent.path, name));
  }

  #tcpOrUnix(spot: Spot, both: boolean): void {
    if (both) this.#add('BH110', spot.node.place, `'${spot.path}' has both 'tcp' and 'unix'`, 'make two entries of it');
    else
      this.#add(
        'BH105',
        spot.node.place,
        `'${spot.path}' has neither 'tcp' nor 'unix'`,
        "add 'tcp: ADDRESS:PORT' or 'unix: /PATH'",
      );
    this.broken.add(spot.path);
  }

  #missing(spot: Spot, name: string): void {
    // The alternatives of a socket are explained on their own.
    if (spot.key === 'listen[]') return;
    this.#add('BH105', spot.node.place, `'${spot.path}' has no '${name}'`);
    this.broken.add(spot.path);
  }

  #unixOnly(spot: Spot, name: string): void {
    if (entryOf(spot.node, 'tcp') === undefined) return;
    const place = entryOf(spot.node, name)?.keyPlace ?? spot.node.place;
    this.#add('BH110', place, `'${spot.path}.${name}' is for Unix sockets, this one is TCP`);
    this.broken.add(spot.path);
  }

  #wrongValue(code: FailureCode, spot: Spot, reason: string, hint?: string): void {
    const expected = this.#grammar.keys.facts(spot.key)?.expected ?? 'something else';
    const why = reason === '' ? '' : `: ${reason}`;
    const subject = spot.path === '' ? 'the text' : quoteValue(spot.path);
    this.#add(code, spot.node.place, `${subject} must be ${expected}, not ${describeNode(spot.node)}${why}`, hint);
    this.broken.add(spot.path);
  }

  #add(code: FailureCode, place: Place, message: string, hint?: string): void {
    this.problems.push({ code, place, message, ...(hint === undefined ? {} : { hint }) });
  }

  #find(pointer: string): Spot | undefined {
    let spot: Spot | undefined = { path: '', key: '', node: this.#root, keyPlace: this.#root.place };
    for (const escaped of pointer.split('/').slice(1)) {
      const name = escaped.replaceAll('~1', '/').replaceAll('~0', '~');
      spot = spot === undefined ? undefined : spotBelow(spot, name);
    }
    return spot;
  }
}

function spotsBelow(spot: Spot): Spot[] {
  const { node } = spot;
  const names =
    node.kind === 'map'
      ? [...node.entries.keys()]
      : node.kind === 'list'
        ? node.items.map((_, index) => String(index))
        : [];
  return names.flatMap((name) => spotBelow(spot, name) ?? []);
}

function spotBelow({ path, key, node }: Spot, name: string): Spot | undefined {
  if (node.kind === 'list') {
    const item = node.items[Number(name)];
    return item === undefined
      ? undefined
      : { path: `${path}[${name}]`, key: `${key}[]`, node: item, keyPlace: item.place };
  }
  const entry = entryOf(node, name);
  if (entry === undefined) return undefined;
  return {
    path: join(path, name),
    key: keyBelow(key, name),
    node: entry.value,
    keyPlace: entry.keyPlace,
  };
}

function entryOf(node: TreeNode, name: string): Entry | undefined {
  return node.kind === 'map' ? node.entries.get(name) : undefined;
}

function nameOf({ path }: Spot): string {
  return path.slice(path.indexOf('.') + 1);
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

/** Copies the tree without what is broken; an item of a list goes as a whole, since half a socket is none. */
function prune(node: TreeNode, path: string, broken: ReadonlySet<string>): TreeNode {
  if (broken.size === 0 || node.kind === 'scalar') return node;
  if (node.kind === 'list')
    return { ...node, items: node.items.filter((_, index) => !isBroken(`${path}[${index}]`, broken)) };
  const pruned = mapNode(node.place, node.replaces);
  for (const [name, { keyPlace, value }] of node.entries) {
    const inner = join(path, name);
    if (!broken.has(inner)) pruned.entries.set(name, { keyPlace, value: prune(value, inner, broken) });
  }
  return pruned;
}

function isBroken(path: string, broken: ReadonlySet<string>): boolean {
  for (const other of broken) if (other === path || other.startsWith(`${path}.`)) return true;
  return false;
}

function typeHint({ key, node }: Spot, grammar: Grammar): string | undefined {
  const facts = grammar.keys.facts(key);
  if (facts === undefined || node.kind !== 'scalar' || node.value === null) return undefined;
  if (typeof node.value !== 'string' && facts.types.includes('string')) {
    const reading = grammar.readers.get(key)?.(node.source);
    return reading !== undefined && 'refused' in reading ? reading.hint : `write it in quotes: '${node.source}'`;
  }
  if (facts.types.includes('array') && typeof node.value === 'string') return listHint(facts, node.source);
  if (facts.types.includes('integer') && typeof node.value === 'string' && /^\d+$/.test(node.value))
    return 'write it without quotes';
  return undefined;
}

function listHint(facts: KeyFacts, text: string): string {
  const items = text.split(/\s+/).filter((word) => word !== '');
  return facts.key === 'listen' ? `write [{ tcp: '${text}' }]` : `write [${items.join(', ')}]`.slice(0, 120);
}

function wordHint({ key, node }: Spot, grammar: Grammar): string | undefined {
  const known = grammar.keys.facts(key)?.words;
  if (known === undefined || node.kind !== 'scalar') return undefined;
  const near = nearestWord(node.source, known);
  return near === undefined ? `there are ${known.join(', ')}` : `did you mean '${near}'?`;
}

/** People leave out the common beginning: `TERM`, `NET_RAW`. */
function nearestWord(text: string, known: readonly string[]): string | undefined {
  const upper = text.toUpperCase();
  return known.find((word) => word === `SIG${upper}` || word === `CAP_${upper}`) ?? nearest(text, known, 2);
}
