import { nearest } from '../base/nearest.ts';
import type { Place, Problem } from '../base/problem.ts';
import { isSetting, type Keys, PLUGIN_KEYS } from './keys.ts';
import { quoteValue } from './tree.ts';

/** An unknown key's problem, and the dotted key that was probably meant. */
export interface UnknownKey {
  readonly problem: Problem;
  readonly meant: string | undefined;
}

/**
 * Explains a key that does not exist. `parent` is the schema's key above it, '' for the whole declaration; `shown` what
 * people call it.
 */
export function unknownKey(
  place: Place,
  parent: string,
  name: string,
  shown = parent,
  keys: Keys = PLUGIN_KEYS,
): UnknownKey {
  const { hint, meant } = suggest(parent, name, keys);
  const where = parent === '' ? '' : ` in '${shown.replace(/\[\]$/, '')}'`;
  const message = `unknown key ${quoteValue(name)}${where}`;
  return { problem: { code: 'BH102', place, message, ...(hint === undefined ? {} : { hint }) }, meant };
}

interface Suggestion {
  readonly hint: string | undefined;
  readonly meant: string | undefined;
}

function suggest(parent: string, name: string, keys: Keys): Suggestion {
  if (name === '<<')
    return { hint: 'merge keys are not supported; put what is common into a template', meant: undefined };
  const word = toKebab(name);
  const siblings = keys.below(parent);
  const near = nearest(word, siblings);
  if (near !== undefined) return { hint: `did you mean '${near}'?`, meant: parent === '' ? near : `${parent}.${near}` };
  const elsewhere = keys.all.filter(isSetting).map(({ key }) => key);
  const last = nearest(lastWord(word), elsewhere.map(lastWord));
  const all = elsewhere.filter((key) => last !== undefined && lastWord(key) === last);
  const shallowest = Math.min(...all.map(depth));
  const full = all.filter((key) => depth(key) === shallowest);
  if (full.length > 0) return { hint: `did you mean ${full.map((key) => `'${key}'`).join(' or ')}?`, meant: undefined };
  const few = siblings.length > 0 && siblings.length <= 12;
  return { hint: few ? `known here: ${siblings.join(', ')}` : undefined, meant: undefined };
}

function depth(key: string): number {
  return key.split('.').length;
}

function lastWord(key: string): string {
  return key.slice(key.lastIndexOf('.') + 1);
}

/** `MemoryHigh` and `memory_high` -> `memory-high`. */
function toKebab(name: string): string {
  const dashed = name.slice(0, 100).replace(/([a-z0-9])([A-Z])/g, '$1-$2');
  return dashed.replaceAll('_', '-').toLowerCase();
}
