/** The walls that an audit looks at, in the order in which they are told. The names are stable: scripts know them. */
export const WALLS = [
  'plan',
  'unit',
  'limits',
  'namespaces',
  'id-range',
  'ids',
  'groups',
  'capabilities',
  'no-new-privs',
  'seccomp',
  'filter',
  'oom-score',
  'open-files',
  'memory-lock',
  'core-size',
  'root',
  'mounts',
  'state',
  'environment',
  'descriptors',
  'network',
  'parents',
  'cgroup',
  'completeness',
] as const;

export type Wall = (typeof WALLS)[number];

/**
 * `broken`: something is not as planned. `unknown`: it could not be seen. `not-enforced`: asked for as planned, but the
 * host has no controller that would enforce it.
 */
export type Verdict = 'holds' | 'broken' | 'unknown' | 'not-enforced';

/** One wall of one sandbox: what was wanted, and what is there. */
export interface Finding {
  readonly wall: Wall;
  readonly verdict: Verdict;
  readonly wanted: string;
  readonly seen: string;
}

/** Characters of a text; what a payload chose itself (names, paths) can be long. */
const LONGEST_TEXT = 1000;
/** More than so many deviations of one wall are counted, not listed. */
const MOST_LISTED = 20;

export function finding(wall: Wall, verdict: Verdict, wanted: string, seen: string): Finding {
  return { wall, verdict, wanted: bounded(wanted), seen: bounded(seen) };
}

function bounded(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
}

/** One finding that the wall holds, or one for each deviation. */
export function wallOf(wall: Wall, wanted: string, holds: string, deviations: readonly string[]): Finding[] {
  if (deviations.length === 0) return [finding(wall, 'holds', wanted, holds)];
  const listed = deviations.slice(0, MOST_LISTED).map((seen) => finding(wall, 'broken', wanted, seen));
  const more = deviations.length - listed.length;
  return more === 0 ? listed : [...listed, finding(wall, 'broken', wanted, `and ${more} more`)];
}

/** The gravest verdict: broken, then unknown, then not enforced. */
export function worst(findings: readonly Finding[]): Verdict {
  const order = ['broken', 'unknown', 'not-enforced'] as const;
  return order.find((verdict) => findings.some((each) => each.verdict === verdict)) ?? 'holds';
}
