import type { Declaration } from '../declare/declaration.ts';
import { asksBeforeAccept } from './gate.ts';

/** The part that `programs: own` lays over a profile, and the one for those who ask before they take a connection. */
const OWN_PROGRAM = 'own-program';
const GATE = 'gate';

/**
 * What a sandbox's filter is compiled from: a profile, and the parts that are laid over it, in the order of their names.
 * As one text `native+io_uring+ptrace`: neither profiles nor parts have a '+' in their names.
 */
export function filterName(declaration: Declaration): string {
  return nameOf(declaration.seccomp, [...declaredParts(declaration), ...(asksBeforeAccept(declaration) ? [GATE] : [])]);
}

/** The same for a sandbox that learns: the ceiling of all profiles in place of its own, and no gate. */
export function learningFilterName(declaration: Declaration): string {
  return nameOf('learn', declaredParts(declaration));
}

function nameOf(profile: string, parts: readonly string[]): string {
  return [profile, ...[...parts].sort()].join('+');
}

function declaredParts({ allow, programs }: Declaration): string[] {
  return [...allow, ...(programs === 'own' ? [OWN_PROGRAM] : [])];
}

/** Profile and parts of such a name. */
export function parseFilterName(name: string): { readonly profile: string; readonly parts: readonly string[] } {
  const [profile = '', ...parts] = name.split('+');
  return { profile, parts };
}
