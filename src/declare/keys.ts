import { isFailureClass } from '../base/failure-class.ts';
import { keys as generated } from './check.generated.js';

/** What the schema says of one key. */
export interface KeyFacts {
  /** Dotted, `[]` for the items of a list, `*` for a name that is free: `limits.memory`, `listen[].tcp`, `environment.*`. */
  readonly key: string;
  /** JSON types, without null. */
  readonly types: readonly string[];
  /** What a value must be, in words that complete "must be ...". */
  readonly expected: string;
  /** The words that are allowed, when there are only these. */
  readonly words?: readonly string[];
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
}

/** The keys of one schema, in its order, with the texts for the manual. */
export class Keys {
  readonly all: readonly KeyFacts[];
  readonly #byKey: ReadonlyMap<string, KeyFacts>;

  constructor(all: readonly KeyFacts[]) {
    this.all = all;
    this.#byKey = new Map(all.map((facts) => [facts.key, facts]));
  }

  facts(key: string): KeyFacts | undefined {
    return this.#byKey.get(key);
  }

  /** Names of the keys directly below a key; below the whole text for ''. */
  below(key: string): string[] {
    const prefix = key === '' ? '' : `${sharedKey(key)}.`;
    return this.all
      .map((facts) => facts.key)
      .filter((candidate) => candidate.startsWith(prefix) && candidate !== key)
      .map((candidate) => candidate.slice(prefix.length))
      .filter((rest) => !/[.[*]/.test(rest));
  }
}

/** All keys of a declaration. */
export const PLUGIN_KEYS = new Keys(generated);

export const KEYS: readonly KeyFacts[] = PLUGIN_KEYS.all;

export function keyFacts(key: string): KeyFacts | undefined {
  return PLUGIN_KEYS.facts(key);
}

/** Whether the names in this map are free, so that a key of the schema has `*` for them. */
export function isFreeMap(key: string): boolean {
  return key === 'environment' || key === 'credentials';
}

/**
 * The schema's key of a name below another one. Names that are free share one; so do the chains of `recovery`, and the
 * settings of its plain steps.
 */
export function keyBelow(key: string, name: string): string {
  const isChain = key === 'recovery' && (isFailureClass(name) || name === 'default');
  const above = sharedKey(key);
  if (isFreeMap(key) || isChain) return `${above}.*`;
  return above === '' ? name : `${above}.${name}`;
}

function sharedKey(key: string): string {
  return /^recovery\.\*\[\]\.(?!raise$|run$)[^.]+$/.test(key) ? 'recovery.*[].*' : key;
}

/** Keys that take a value themselves (not groups such as `limits`), outside lists. */
export function isSetting(facts: KeyFacts): boolean {
  const inner = facts.key.includes('[]') || facts.key.includes('*');
  const isGroup = facts.types.includes('object') && !facts.types.includes('string');
  return !inner && (isFreeMap(facts.key) || !isGroup);
}
