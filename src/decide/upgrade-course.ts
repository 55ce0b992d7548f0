import { formatDuration } from '../base/duration.ts';
import type { Draft } from './draft.ts';
import type { Reason } from './observation.ts';
import type { Order } from './order.ts';
import type { PluginState } from './plugin-state.ts';
import { weightsOf } from './sides.ts';
import type { Upgrade, UpgradeStep } from './upgrade.ts';
import { upgradeLine } from './upgrade-line.ts';

/** Changes what is known of the upgrade that is under way. */
export function setUpgrade(draft: Draft, change: Partial<Upgrade>): void {
  const { upgrade } = draft.state;
  if (upgrade !== undefined) draft.set({ upgrade: { ...upgrade, ...change } });
}

/** The next step begins. */
export function enter(draft: Draft, step: UpgradeStep, change: Partial<Upgrade> = {}): void {
  setUpgrade(draft, { step, stepSince: draft.moment.now, tries: 0, triedAt: 0, ...change });
  const { upgrade } = draft.state;
  if (upgrade !== undefined)
    draft.note('upgrading', undefined, undefined, upgradeLine(upgrade, draft.moment.now), { upgrade: upgrade.id });
}

/**
 * Gives the order of the step, and again when no answer came for so long. False when it was given often enough. A new
 * supervisor begins to count anew.
 */
export function insist(draft: Draft, orders: readonly Order[], everyMs: number, times: number): boolean {
  const { upgrade } = draft.state;
  if (upgrade === undefined) return false;
  const { now } = draft.moment;
  const { tries, triedAt } = upgrade;
  if (tries > 0 && now < triedAt + everyMs) {
    draft.wakeBy(triedAt + everyMs);
    return true;
  }
  if (tries >= times) return false;
  setUpgrade(draft, { tries: tries + 1, triedAt: now });
  for (const order of orders) draft.order(order);
  draft.wakeBy(now + everyMs);
  return true;
}

/** The order failed: it is given again sooner than if nothing had been heard of it. */
export function retryIn(draft: Draft, ms: number, everyMs: number): void {
  setUpgrade(draft, { triedAt: draft.moment.now - everyMs + ms });
}

/** The order for the shares that both slots are to have. */
export function weighing(state: PluginState): Order {
  const { live, other } = weightsOf(state);
  return { kind: 'weigh', live, weight: other };
}

export function noAnswer(what: string, ms: number): Reason {
  return { code: 'BH326', text: `${what} gave no answer within ${formatDuration(ms)}` };
}
