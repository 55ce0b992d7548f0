import type { SlotName } from '../plan/plan.ts';
import type { PluginState, SandboxEntry } from './plugin-state.ts';
import { initialState, NEW_SANDBOX } from './plugin-state.ts';

/** What is remembered of a plugin's state. */
const REMEMBERED = [
  'phase',
  'invocation',
  'plan',
  'nextGeneration',
  'slot',
  'deathsInRow',
  'roundBegan',
  'deaths',
  'restartsTotal',
  'notBefore',
  'reason',
  'refused',
  'wasReady',
] as const satisfies readonly (keyof PluginState)[];

/** The part of a plugin's state that outlives the supervisor; the rest is read from the machine. */
export type RememberedState = Pick<PluginState, (typeof REMEMBERED)[number]>;

/** A sandbox of which a record exists, and what systemd says of its unit now. */
export interface FoundSandbox {
  readonly unit: string;
  readonly slot: SlotName;
  readonly generation: number;
  readonly digest: string;
  readonly limits: string;
  readonly life: 'starting' | 'ready' | 'stopping';
  readonly readyAt: number | undefined;
  readonly learning: boolean;
}

export function remember(state: PluginState): RememberedState {
  return Object.fromEntries(REMEMBERED.map((field) => [field, state[field]])) as unknown as RememberedState;
}

/**
 * The state of a new supervisor. Sandboxes that died in the meantime are among the found ones, too: their `cleared`
 * observations follow, so that their deaths count like any other.
 */
export function restoreState(
  plugin: string,
  remembered: RememberedState | undefined,
  found: readonly FoundSandbox[],
): PluginState {
  const base: PluginState = { ...initialState(plugin), ...remembered };
  const sandboxes = new Map<string, SandboxEntry>();
  for (const sandbox of found) {
    const asked = sandbox.life === 'stopping';
    sandboxes.set(sandbox.unit, { ...sandbox, ...NEW_SANDBOX, counters: undefined, asked });
  }
  const highest = Math.max(0, ...found.map(({ generation }) => generation));
  return {
    ...base,
    sandboxes,
    nextGeneration: Math.max(base.nextGeneration, highest + 1),
    // Without a memory of what was wanted, what runs is stopped unless its anchor says otherwise.
    phase: base.phase === 'off' && found.length > 0 ? 'stopping' : base.phase,
  };
}
