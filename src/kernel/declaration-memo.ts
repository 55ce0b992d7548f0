import type { DeclarationText } from '../declare/declaration.ts';
import { type ReadResult, readDeclaration } from '../declare/read-declaration.ts';
import type { TemplateTexts } from '../declare/templates.ts';
import type { VersionInForce, VersionSource } from '../declare/version-layer.ts';

interface Remembered {
  readonly texts: readonly DeclarationText[];
  /** What the templates' names led to when it was read. */
  readonly templates: ReadonlyMap<string, readonly DeclarationText[] | undefined>;
  /** What was in force for the version that the texts name, and what versions said themselves. */
  readonly inForce: ReadonlyMap<string | undefined, VersionInForce | undefined>;
  readonly versions: ReadonlyMap<string, readonly DeclarationText[]>;
  readonly result: ReadResult;
}

/** Beyond this many plugins, the one that was read first is forgotten. */
const MOST = 1000;

/**
 * Remembers what texts mean. Reading files takes microseconds, understanding them milliseconds, and any user may ask for
 * the list of all plugins; so texts that did not change are not parsed again.
 */
export class DeclarationMemo {
  readonly #known = new Map<string, Remembered>();

  read(name: string, texts: readonly DeclarationText[], templates: TemplateTexts, versions: VersionSource): ReadResult {
    const known = this.#known.get(name);
    if (known !== undefined && isSame(known.texts, texts) && isSameBeside(known, templates, versions))
      return known.result;
    const beside = {
      templates: new Map<string, readonly DeclarationText[] | undefined>(),
      inForce: new Map<string | undefined, VersionInForce | undefined>(),
      versions: new Map<string, readonly DeclarationText[]>(),
    };
    const result = readDeclaration(name, texts, noted(beside.templates, templates), {
      inForce: noted(beside.inForce, (declared) => versions.inForce(declared)),
      texts: noted(beside.versions, (version) => versions.texts(version)),
    });
    this.#known.delete(name);
    if (texts.length > 0) this.#known.set(name, { texts, ...beside, result });
    if (this.#known.size > MOST) this.#known.delete(this.#known.keys().next().value ?? name);
    return result;
  }
}

/** The same function, of which it is written down what it said. */
function noted<Key, Value>(notes: Map<Key, Value>, find: (key: Key) => Value): (key: Key) => Value {
  return (key) => {
    const found = find(key);
    notes.set(key, found);
    return found;
  };
}

function isSameBeside(known: Remembered, templates: TemplateTexts, versions: VersionSource): boolean {
  return (
    [...known.templates].every(([name, texts]) => isSame(texts, templates(name))) &&
    [...known.inForce].every(([declared, was]) => isSameChoice(was, versions.inForce(declared))) &&
    [...known.versions].every(([version, texts]) => isSame(texts, versions.texts(version)))
  );
}

function isSameChoice(one: VersionInForce | undefined, other: VersionInForce | undefined): boolean {
  return one?.version === other?.version && one?.what === other?.what;
}

function isSame(one: readonly DeclarationText[] | undefined, other: readonly DeclarationText[] | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return (
    one.length === other.length &&
    one.every(({ file, text, format }, index) => {
      const counterpart = other[index];
      return counterpart?.file === file && counterpart.text === text && counterpart.format === format;
    })
  );
}
