import type { DeclarationText } from '../declare/declaration.ts';
import { type ReadResult, readDeclaration } from '../declare/read-declaration.ts';
import type { TemplateTexts } from '../declare/templates.ts';

interface Remembered {
  readonly texts: readonly DeclarationText[];
  /** What the templates' names led to when it was read. */
  readonly templates: ReadonlyMap<string, readonly DeclarationText[] | undefined>;
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

  read(name: string, texts: readonly DeclarationText[], templates: TemplateTexts): ReadResult {
    const known = this.#known.get(name);
    if (known !== undefined && isSame(known.texts, texts) && sameTemplates(known, templates)) return known.result;
    const used = new Map<string, readonly DeclarationText[] | undefined>();
    const result = readDeclaration(name, texts, (template) => {
      const found = templates(template);
      used.set(template, found);
      return found;
    });
    this.#known.delete(name);
    if (texts.length > 0) this.#known.set(name, { texts, templates: used, result });
    if (this.#known.size > MOST) this.#known.delete(this.#known.keys().next().value ?? name);
    return result;
  }
}

function sameTemplates(known: Remembered, templates: TemplateTexts): boolean {
  for (const [template, texts] of known.templates) if (!isSame(texts, templates(template))) return false;
  return true;
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
