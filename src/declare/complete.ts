import { convert } from './convert.ts';
import type { Declaration } from './declaration.ts';
import { keyFacts, PLUGIN_KEYS } from './keys.ts';
import { BUILT_IN } from './place.ts';
import { mapNode } from './tree.ts';

/** A declaration as an earlier version wrote it down: keys that it did not know are absent. */
export type StoredDeclaration = Partial<Declaration> & Pick<Declaration, 'name'>;

/** The same declaration with the defaults of all keys that have come to be since. */
export function completeDeclaration(stored: StoredDeclaration): Declaration {
  const { declaration } = convert(stored.name, mapNode(BUILT_IN), []);
  return completed('', declaration, stored) as Declaration;
}

/**
 * Only groups are completed: a value that is an object, such as a limit, was written down whole. So was a probe, which
 * nobody has by default.
 */
function completed(key: string, defaults: object, stored: object): object {
  const entries = Object.entries({ ...defaults, ...stored }).map(([name, value]) => {
    const path = key === '' ? name : `${key}.${name}`;
    const fallback = (defaults as Record<string, unknown>)[name];
    const isGroup = keyFacts(path)?.types.includes('object') === true && PLUGIN_KEYS.below(path).length > 0;
    const isCompleted = isGroup || path === 'recovery.chains';
    return [name, isCompleted && isObject(fallback) ? completed(path, fallback, value as object) : value];
  });
  return Object.fromEntries(entries);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
