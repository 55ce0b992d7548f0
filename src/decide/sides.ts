import { surgeOf } from '../declare/upgrade.ts';
import type { BySlot, PluginPlan, SlotName, Weights } from '../plan/plan.ts';
import type { PluginState, SandboxEntry } from './plugin-state.ts';
import { inLife, inTraffic, living } from './plugin-state.ts';
import type { SandboxLife } from './sandbox-life.ts';
import type { Ladder } from './upgrade-ladder.ts';

/** What says which plans are in force. */
type Plans = Pick<PluginState, 'slot' | 'plan' | 'upgrade' | 'previous'>;

/** Whether the new side of the upgrade is the live one by now, and the old one only ends what it has. */
export function isCommitted({ upgrade }: Pick<PluginState, 'upgrade'>): boolean {
  return upgrade?.step === 'draining';
}

/** The plan of a slot's sandboxes; undefined for a slot of which none is in force. */
export function planOf(state: Plans, of: SlotName): PluginPlan | undefined {
  const { slot, plan, upgrade, previous } = state;
  if (of === slot) return plan;
  if (upgrade === undefined || upgrade.way === 'in-place') return undefined;
  return isCommitted(state) ? previous : upgrade.plan;
}

/** Those of both slots. */
export function plansInForce(state: Plans): BySlot<PluginPlan> {
  const [a, b] = [planOf(state, 'a'), planOf(state, 'b')];
  return { ...(a && { a }), ...(b && { b }) };
}

/** How new connections are to be shared out. */
export function weightsOf(state: PluginState): Weights {
  const { slot, upgrade } = state;
  const isBeside = upgrade?.way === 'beside' && !isCommitted(state);
  return { live: slot, other: isBeside ? upgrade.weight : 0 };
}

export function otherSlot(slot: SlotName): SlotName {
  return slot === 'a' ? 'b' : 'a';
}

/**
 * The state as it is for the side that is not live: with its plan, and without failures of the live one, whose seats
 * have other sandboxes. What looks at one side looks at the slot of the state that it is given.
 */
export function otherSide(state: PluginState): PluginState {
  const slot = otherSlot(state.slot);
  return { ...state, slot, plan: planOf(state, slot), crashes: [], restarts: [] };
}

/** Those of the side that is not live, which run or will. */
export function beside(state: PluginState): SandboxEntry[] {
  return living(state).filter(({ slot }) => slot !== state.slot);
}

/** Those of the side that is not live of which something is left that is waited for. */
export function leftBeside({ sandboxes, slot }: PluginState): SandboxEntry[] {
  const isWaitedFor = ({ life }: SandboxEntry): boolean => life !== 'fenced' && life !== 'frozen';
  return [...sandboxes.values()].filter((sandbox) => sandbox.slot !== slot && isWaitedFor(sandbox));
}

/** What the live side is to be now: as planned, but for what an upgrade takes away from it for a time. */
export function livePlan(state: PluginState): PluginPlan | undefined {
  const { plan, upgrade } = state;
  if (plan === undefined || upgrade === undefined || upgrade.way === 'in-place') return plan;
  switch (upgrade.step) {
    case 'starting':
    case 'canary':
    case 'committing':
      return resized(plan, upgrade.rung.old);
    case 'undoing':
      // It gets its places back as others leave them.
      return resized(plan, mostSandboxes(state) - leftBeside(state).length - endingLive(state));
    case 'draining': {
      const { declaration } = plan;
      return { ...plan, declaration: { ...declaration, pool: { ...declaration.pool, standby: 0 } } };
    }
    default:
      return plan;
  }
}

function endingLive(state: PluginState): number {
  return inLife(state, 'stopping').filter(({ slot }) => slot === state.slot).length;
}

function resized(plan: PluginPlan, size: number): PluginPlan {
  return size >= plan.size ? plan : { ...plan, size: Math.max(1, size) };
}

/** Serving sandboxes that there may be of both sides together. */
export function mostSandboxes({ plan, upgrade }: PluginState): number {
  const ladder = ladderOf(plan, upgrade?.plan);
  return Math.max(ladder.old, ladder.new) + ladder.surge;
}

/** @param next the plan of the new side. */
export function ladderOf(plan: PluginPlan | undefined, next: PluginPlan | undefined): Ladder {
  const old = plan?.size ?? 1;
  const size = next?.size ?? old;
  return { old, new: size, surge: next === undefined ? 0 : surgeOf(next.declaration.upgrade.surge, size) };
}

/** Whether there is more to hope for than the live side: another one serves, or is started because this one fails. */
export function hasOtherHope(state: PluginState): boolean {
  const { upgrade } = state;
  if (upgrade === undefined || upgrade.way === 'in-place' || isCommitted(state) || upgrade.step === 'undoing')
    return false;
  return upgrade.kind === 'rollback' || (upgrade.weight > 0 && inTraffic(otherSide(state)).length > 0);
}

/** How long (ms) one of this slot may take to end, where that is not the declared time. */
export function stopTimeout({ slot, plan }: PluginState, of: SlotName): number | undefined {
  return of === slot ? undefined : plan?.declaration.upgrade.drainMs;
}

/** Whether there is anybody in the slot who may take connections, be it that he ends. */
export function isServed({ sandboxes }: PluginState, slot: SlotName): boolean {
  const may: readonly SandboxLife[] = ['starting', 'ready', 'stopping'];
  return [...sandboxes.values()].some((each) => each.slot === slot && may.includes(each.life));
}
