import type { Entry } from './listing.ts';

/** So many links in one path are what the kernel follows (path_resolution(7)). */
const MOST_LINKS = 40;

/**
 * Whether a link leads out of the tree, through other links, too: what is outside may change, and does not belong to the
 * version. A link to nothing, or in a circle, stays inside.
 */
export function leavesTree(link: string, target: string, entryAt: (path: string) => Entry | undefined): boolean {
  const place = link.split('/').slice(0, -1);
  const rest = [...stepsOf(target)];
  if (target.startsWith('/')) return true;
  for (let followed = 0; rest.length > 0; ) {
    const step = rest.shift() ?? '';
    if (step === '..') {
      if (place.pop() === undefined) return true;
      continue;
    }
    const there = entryAt([...place, step].join('/'));
    if (there?.kind !== 'link') {
      place.push(step);
      continue;
    }
    followed += 1;
    if (followed > MOST_LINKS) return false;
    if (there.target.startsWith('/')) return true;
    rest.unshift(...stepsOf(there.target));
  }
  return false;
}

function stepsOf(target: string): string[] {
  return target.split('/').filter((step) => step !== '' && step !== '.');
}
