import type { BySlot, PlannedListener, Weights } from '../plan/plan.ts';

/** All addresses that a slot listens on, each once. */
export function unite(sides: BySlot<readonly PlannedListener[]>): PlannedListener[] {
  const all = [...(sides.a ?? []), ...(sides.b ?? [])];
  return [...new Map(all.map((each) => [each.key, each])).values()];
}

/**
 * Percent of an address's new connections for slot b. Where one slot alone listens, it gets all of them, whatever the
 * weights: a connection that nobody accepts would wait for ever.
 */
export function percentOf(key: string, sides: BySlot<readonly PlannedListener[]>, { live, other }: Weights): number {
  const [a, b] = [sides.a, sides.b].map((side) => side?.some((each) => each.key === key) ?? false);
  if (a !== b) return b ? 100 : 0;
  return live === 'a' ? other : 100 - other;
}
