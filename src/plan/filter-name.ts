import type { Declaration } from '../declare/declaration.ts';

/** The part that `programs: own` lays over a profile. */
const OWN_PROGRAM = 'own-program';

/**
 * What a sandbox's filter is compiled from: a profile, and the parts that are laid over it, in the order of their names.
 * As one text `native+io_uring+ptrace`: neither profiles nor parts have a '+' in their names.
 */
export function filterName({ seccomp, allow, programs }: Declaration): string {
  return [seccomp, ...partsOf({ allow, programs })].join('+');
}

/** The same for a sandbox that learns: the ceiling of all profiles in place of its own. */
export function learningFilterName(declaration: Declaration): string {
  return filterName({ ...declaration, seccomp: 'learn' });
}

function partsOf({ allow, programs }: Pick<Declaration, 'allow' | 'programs'>): string[] {
  return [...allow, ...(programs === 'own' ? [OWN_PROGRAM] : [])].sort();
}

/** Profile and parts of such a name. */
export function parseFilterName(name: string): { readonly profile: string; readonly parts: readonly string[] } {
  const [profile = '', ...parts] = name.split('+');
  return { profile, parts };
}
