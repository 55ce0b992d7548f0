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

/** All keys in the schema's order, with the texts for the manual. */
export const KEYS: readonly KeyFacts[] = generated;

const BY_KEY = new Map(KEYS.map((facts) => [facts.key, facts]));

export function keyFacts(key: string): KeyFacts | undefined {
  return BY_KEY.get(key);
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

/** Names of the keys directly below a key; below the whole declaration for ''. */
export function keysBelow(key: string): string[] {
  const prefix = key === '' ? '' : `${sharedKey(key)}.`;
  return KEYS.map((facts) => facts.key)
    .filter((candidate) => candidate.startsWith(prefix) && candidate !== key)
    .map((candidate) => candidate.slice(prefix.length))
    .filter((rest) => !/[.[*]/.test(rest));
}
