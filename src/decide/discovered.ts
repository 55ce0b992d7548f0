import type { RpcAccess } from '../declare/declaration.ts';
import type { SlotName } from '../plan/plan.ts';
import type { PluginState, SandboxEntry } from './plugin-state.ts';
import { SCORE_WINDOW_MS, scoreOf } from './score.ts';
import { otherSlot, planOf, weightsOf } from './sides.ts';

/** What whoever calls a plugin is told of a sandbox; docs/protocol.md. */
export interface DiscoveredSandbox {
  readonly generation: number;
  readonly slot: SlotName;
  readonly version: string | null;
  readonly state: 'ready' | 'standby' | 'shut' | 'draining';
  /** 0 to 100; 100 for one without a seat. */
  readonly score: number;
  /** Percent of new calls that its slot gets. */
  readonly weight: number;
}

/** Sandboxes that take calls, or end those that they have, in the order of their generations. */
export function discovered(state: PluginState, now: number): DiscoveredSandbox[] {
  return [...state.sandboxes.values()]
    .flatMap((entry): DiscoveredSandbox[] => {
      const { generation, slot, seat } = entry;
      const plan = planOf(state, slot);
      const stands = standing(entry);
      // Of what an upgrade that was given up left no plan is in force, and it only ends.
      const takesCalls = plan === undefined ? stands === 'draining' : plan.declaration.rpc !== undefined;
      if (stands === undefined || !takesCalls) return [];
      const score = seat < 0 || slot !== state.slot ? 100 : scoreOf(state, seat, now);
      const version = plan?.version ?? null;
      return [{ generation, slot, version, state: stands, score, weight: weightOf(state, slot) }];
    })
    .sort((one, other) => one.generation - other.generation);
}

/** Monotonic ms when a score is another one though nothing happens; undefined when none will be. */
export function nextScore({ crashes }: PluginState, now: number): number | undefined {
  const next = crashes.map(({ at }) => at + SCORE_WINDOW_MS).filter((at) => at > now);
  return next.length === 0 ? undefined : Math.min(...next);
}

function standing({ life, standby, gate }: SandboxEntry): DiscoveredSandbox['state'] | undefined {
  if (life === 'stopping') return 'draining';
  if (life !== 'ready') return undefined;
  if (standby) return 'standby';
  return gate === undefined || gate === 'open' ? 'ready' : 'shut';
}

/** Where one slot alone takes calls, it gets all of them, as with connections. */
function weightOf(state: PluginState, slot: SlotName): number {
  const { live, other } = weightsOf(state);
  const [own, others] = [accessOf(state, slot), accessOf(state, otherSlot(slot))];
  if (own === undefined || others === undefined) return own === undefined ? 0 : 100;
  return slot === live ? 100 - other : other;
}

function accessOf(state: PluginState, slot: SlotName): RpcAccess | undefined {
  return planOf(state, slot)?.declaration.rpc;
}
