import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type YAMLError } from 'yaml';
import type { FailureCode } from '../base/failure.ts';
import type { Place, Problem } from '../base/problem.ts';
import { isNull, type MapNode, mapNode, quoteValue, type TreeNode } from './tree.ts';

/**
 * Bounds of one text, in characters and values. A declaration has some hundred values at most; these keep any text from
 * taking long. (The worst text known, nothing but commas, takes the library half a second at this length.)
 */
export const LONGEST_TEXT = 64 * 1024;
const MOST_NODES = 10_000;

/** Problems that are reported of one text; more of them help nobody, and a garbled text has one at each word. */
export const MOST_PROBLEMS = 100;
const DEEPEST = 16;

export interface ParsedText {
  /** Absent when the text could not be understood. */
  readonly tree?: MapNode;
  readonly problems: readonly Problem[];
  /** Keys whose values could not be understood, so that nobody complains that they are missing. */
  readonly broken?: readonly string[];
}

/** Reads YAML 1.2 (core schema, one document, no directives, no merge keys) into a tree with places. */
export function parseYaml(file: string, text: string): ParsedText {
  const start = { file, line: 1, column: 1 };
  if (text.length > LONGEST_TEXT) {
    const message = `the text has ${text.length} characters, ${LONGEST_TEXT} are allowed`;
    return { problems: [{ code: 'BH112', place: start, message }] };
  }
  const lines = new LineCounter();
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  let document: Document.Parsed;
  try {
    document = parseDocument(text, {
      version: '1.2',
      schema: 'core',
      merge: false,
      // The library's own search for duplicates takes quadratic time; TreeReader looks for them.
      uniqueKeys: false,
      prettyErrors: false,
      // 'silent' would also hide that there is a second document.
      logLevel: 'error',
      lineCounter: lines,
    });
  } catch (thrown) {
    // The library recurses; a text of brackets alone exhausts its stack.
    if (thrown instanceof RangeError)
      return { problems: [{ code: 'BH112', place: start, message: 'it is nested too deeply' }] };
    throw thrown;
  }
  const errors = [...document.errors, ...document.warnings].slice(0, MOST_PROBLEMS);
  // The library catches an exhausted stack itself in most places.
  const exhausted = errors.find(({ message }) => message.startsWith('Maximum call stack'));
  if (exhausted !== undefined)
    return { problems: [{ code: 'BH112', place: placeAt(exhausted.pos[0]), message: 'it is nested too deeply' }] };
  const syntax = errors.map((error) => syntaxProblem(error, placeAt, text));
  if (document.directives?.yaml.explicit === true) {
    syntax.push({
      code: 'BH101',
      place: start,
      message: 'directives (%YAML) are not supported',
      hint: 'remove the line',
    });
  }
  if (syntax.length > 0) return { problems: syntax };
  const reader = new TreeReader(placeAt);
  const root = document.contents === null ? mapNode(start) : reader.read(document.contents, 0);
  if (root.kind !== 'map' && !isNull(root)) {
    reader.problem(
      'BH103',
      root.place,
      `the text must be a map of keys, not ${root.kind === 'list' ? 'a list' : 'a single value'}`,
    );
    return { problems: reader.problems };
  }
  if (reader.gaveUp) return { problems: reader.problems };
  return { tree: root.kind === 'map' ? root : mapNode(start), problems: reader.problems };
}

function syntaxProblem(error: YAMLError, placeAt: (offset: number) => Place, text: string): Problem {
  const place = placeAt(error.pos[0]);
  const message = error.code === 'MULTIPLE_DOCS' ? 'there is more than one document' : plainWords(error.message);
  const hint = syntaxHint(error, text);
  return { code: 'BH101', place, message, ...(hint === undefined ? {} : { hint }) };
}

function plainWords(message: string): string {
  const line = (message.split('\n')[0] ?? '').slice(0, 200);
  return `${line.charAt(0).toLowerCase()}${line.slice(1)}`.replace(/[\p{Cc}]/gu, '?');
}

function syntaxHint(error: YAMLError, text: string): string | undefined {
  if (error.code === 'TAB_AS_INDENT') return 'indent with spaces';
  if (error.code === 'MULTIPLE_DOCS') return "remove the line '---'";
  if (error.code === 'TAG_RESOLVE_FAILED') return 'remove the tag';
  const begin = text.lastIndexOf('\n', Math.max(0, error.pos[0] - 1)) + 1;
  const line = text.slice(begin, begin + 500).split('\n')[0] ?? '';
  if (/\[[0-9a-fA-F:.]*\]:\d/.test(line)) return "an IPv6 address needs quotes, such as '[::1]:8081'";
  return undefined;
}

/** Turns the library's nodes into ours; bounds what aliases can blow up. */
class TreeReader {
  readonly problems: Problem[] = [];
  readonly #placeAt: (offset: number) => Place;
  readonly #anchors = new Map<string, unknown>();
  #nodes = 0;
  gaveUp = false;

  constructor(placeAt: (offset: number) => Place) {
    this.#placeAt = placeAt;
  }

  problem(code: FailureCode, place: Place, message: string, hint?: string): void {
    if (this.problems.length >= MOST_PROBLEMS) return;
    this.problems.push({ code, place, message, ...(hint === undefined ? {} : { hint }) });
  }

  read(node: unknown, depth: number): TreeNode {
    const place = this.#placeAt(offsetOf(node));
    const nothing: TreeNode = { kind: 'scalar', place, value: null, source: '' };
    this.#nodes++;
    if (this.gaveUp) return nothing;
    if (this.#nodes > MOST_NODES || depth > DEEPEST) {
      this.gaveUp = true;
      const what = depth > DEEPEST ? 'it is nested too deeply' : `it has more than ${MOST_NODES} values`;
      this.problem('BH112', place, what);
      return nothing;
    }
    if (isAlias(node)) return this.#readAlias(node.source, place, depth);
    if ((isMap(node) || isSeq(node) || isScalar(node)) && node.anchor !== undefined)
      this.#anchors.set(node.anchor, node);
    if (isMap(node)) return this.#readMap(node.items, place, depth);
    if (isSeq(node)) return { kind: 'list', place, items: node.items.map((item) => this.read(item, depth + 1)) };
    if (!isScalar(node)) return nothing;
    const { value, source } = node;
    if (typeof value === 'string') return { kind: 'scalar', place, value, source: value };
    if (typeof value === 'number' || typeof value === 'boolean')
      return { kind: 'scalar', place, value, source: source ?? String(value) };
    return nothing;
  }

  #readAlias(name: string, place: Place, depth: number): TreeNode {
    const target = this.#anchors.get(name);
    if (target !== undefined) return { ...this.read(target, depth + 1), place };
    this.problem('BH101', place, `there is no anchor ${quoteValue(name)} above`);
    return { kind: 'scalar', place, value: null, source: '' };
  }

  #readMap(items: readonly { key: unknown; value: unknown }[], place: Place, depth: number): MapNode {
    const map = mapNode(place);
    for (const { key, value } of items) {
      const keyNode = this.read(key, depth + 1);
      const keyPlace = keyNode.place;
      if (this.gaveUp) return map;
      if (keyNode.kind !== 'scalar' || keyNode.value === null) {
        this.problem('BH101', keyPlace, 'a key must be a word');
        continue;
      }
      const name = keyNode.source;
      const first = map.entries.get(name);
      if (first !== undefined) {
        const { line, column } = first.keyPlace;
        this.problem('BH111', keyPlace, `the key ${quoteValue(name)} is given twice`, `first at ${line}:${column}`);
        continue;
      }
      const inner = this.read(value, depth + 1);
      // A key without a value has no place of its own.
      map.entries.set(name, { keyPlace, value: value === null ? { ...inner, place: keyPlace } : inner });
    }
    return map;
  }
}

function offsetOf(node: unknown): number {
  const range = (node as { range?: readonly number[] | null } | null)?.range;
  return range?.[0] ?? 0;
}
