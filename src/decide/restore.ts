import type { SlotName } from '../plan/plan.ts';
import type { PluginState, SandboxEntry } from './plugin-state.ts';
import { initialState, isEmpty, NEW_SANDBOX } from './plugin-state.ts';

/** What is remembered of a plugin's state. */
const REMEMBERED = [
  'phase',
  'invocation',
  'plan',
  'declared',
  'nextGeneration',
  'slot',
  'upgrade',
  'lastUpgrade',
  'nextUpgrade',
  'previous',
  'failedPlans',
  'deathsInRow',
  'roundBegan',
  'deaths',
  'restartsTotal',
  'notBefore',
  'reloading',
  'reason',
  'refused',
  'wasReady',
  'chains',
  'crashes',
  'restarts',
  'healing',
  'quarantined',
  'nextIncident',
  'open',
  'running',
  'recoveries',
] as const satisfies readonly (keyof PluginState)[];

/** What is remembered of each sandbox: what was decided about it, which the machine cannot tell. */
const MEMBER = [
  'unit',
  'life',
  'standby',
  'seat',
  'gate',
  'readiness',
  'verdict',
  'illSince',
  'doomed',
  'renewing',
  'unreplaced',
  'asked',
] as const satisfies readonly (keyof SandboxEntry)[];

export type Member = Pick<SandboxEntry, (typeof MEMBER)[number]>;

/** The part of a plugin's state that outlives the supervisor; the rest is read from the machine. */
export type RememberedState = Pick<PluginState, (typeof REMEMBERED)[number]> & { readonly members: readonly Member[] };

/** A sandbox of which a record exists, and what systemd says of its unit now. */
export interface FoundSandbox {
  readonly unit: string;
  readonly slot: SlotName;
  readonly generation: number;
  readonly digest: string;
  readonly limits: string;
  readonly life: 'starting' | 'ready' | 'stopping';
  /** Whether systemd has its unit. */
  readonly isThere: boolean;
  readonly readyAt: number | undefined;
  readonly learning: boolean;
}

export function remember(state: PluginState): RememberedState {
  return {
    ...(pick(state, REMEMBERED) as Omit<RememberedState, 'members'>),
    members: [...state.sandboxes.values()].map((sandbox) => pick(sandbox, MEMBER) as Member),
  };
}

function pick<T extends object>(from: T, fields: readonly (keyof T)[]): Partial<T> {
  return Object.fromEntries(fields.map((field) => [field, from[field]])) as Partial<T>;
}

/**
 * The state of a new supervisor. Sandboxes that died in the meantime are among the found ones, too: their `cleared`
 * observations follow, so that their deaths count like any other.
 *
 * @param remembered without fields that the version which wrote it did not know.
 */
export function restoreState(
  plugin: string,
  remembered: Partial<RememberedState> | undefined,
  found: readonly FoundSandbox[],
): PluginState {
  const { members = [], ...rest } = remembered ?? {};
  const known = Object.entries(rest).filter(([, value]) => value !== undefined);
  const base: PluginState = { ...initialState(plugin), ...Object.fromEntries(known) };
  const sandboxes = new Map<string, SandboxEntry>();
  for (const [index, sandbox] of found.entries()) {
    const member = members.find(({ unit }) => unit === sandbox.unit);
    sandboxes.set(sandbox.unit, restoreSandbox(sandbox, member, index));
  }
  const highest = Math.max(0, ...found.map(({ generation }) => generation));
  const state = { ...base, sandboxes, nextGeneration: Math.max(base.nextGeneration, highest + 1) };
  // Without a memory of what was wanted, what runs is stopped unless its anchor says otherwise.
  return { ...state, phase: base.phase === 'off' && !isEmpty(state) ? 'stopping' : base.phase };
}

/** What is seen says whether it lives; what is remembered, what was to become of it. */
function restoreSandbox({ isThere, ...found }: FoundSandbox, member: Member | undefined, index: number): SandboxEntry {
  const seat = found.learning ? -1 : index;
  const entry = { ...found, ...NEW_SANDBOX, seat, ...member, counters: undefined, exit: undefined };
  const isStopping = found.life === 'stopping';
  // What was decided about it is further on than what is seen, as long as that was not carried out.
  const decided =
    member === undefined || member.life === 'starting' || member.life === 'ready' ? undefined : member.life;
  const interrupted = !isThere && member?.life === 'starting';
  const asked = entry.asked || (isStopping && decided === undefined);
  return { ...entry, life: decided ?? found.life, interrupted, asked };
}
