import type { Listen } from '../declare/declaration.ts';
import type { BySlot, PlannedListener, Weights } from '../plan/plan.ts';

/** All addresses that a slot listens on, each once. */
export function unite(sides: BySlot<readonly PlannedListener[]>): PlannedListener[] {
  const all = [...(sides.a ?? []), ...(sides.b ?? [])];
  return [...new Map(all.map((each) => [each.key, each])).values()];
}

/**
 * Percent of an address's new connections for slot b. Where one slot alone listens, it gets all of them, whatever the
 * weights: a connection that nobody accepts would wait for ever. A Unix socket's path leads to one of the two, so there
 * the other slot gets all or nothing.
 */
export function percentOf(
  key: string,
  kind: Listen['kind'],
  sides: BySlot<readonly PlannedListener[]>,
  { live, other }: Weights,
): number {
  const [a, b] = [sides.a, sides.b].map((side) => side?.some((each) => each.key === key) ?? false);
  if (a !== b) return b ? 100 : 0;
  const share = kind === 'unix' && other < 100 ? 0 : other;
  return live === 'a' ? share : 100 - share;
}
