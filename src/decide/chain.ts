import type { FailureClass } from '../base/failure-class.ts';
import type { Chain, RunStep, Step } from '../declare/recovery.ts';
import type { ChainPosition, PluginState } from './plugin-state.ts';

/** What is to be done about one failure. */
export interface Turn {
  /** Steps that only tell; they are taken on the way to the next one. */
  readonly asides: readonly (RunStep | Step)[];
  /** The step that the failure is answered with. */
  readonly step: Step;
  readonly index: number;
  /** Steps in the chain. */
  readonly of: number;
  /** Where the chain stands once the step is taken. */
  readonly position: ChainPosition;
  /** It was the restart budget that ended the step before: this one gets a new budget. */
  readonly pastBudget: boolean;
  /** It may not be taken before the time for risky steps comes. */
  readonly waits: boolean;
}

export interface ChainCircumstances {
  readonly riskyAllowed: boolean;
  /** More failures than the restart budget has. */
  readonly budgetUsed: boolean;
  /** There is a version to go back to. */
  readonly canGoBack: boolean;
}

/** What comes after the last step. */
const QUARANTINE: Step = { kind: 'quarantine', delayMs: 0, times: 'any', risky: false };

/** Steps that bring nothing back. */
export function onlyTells(step: Step): boolean {
  return step.kind === 'run' || step.kind === 'notify';
}

export function chainOf(state: PluginState, of: FailureClass): Chain {
  return state.plan?.declaration.recovery.chains[of] ?? [];
}

/**
 * The step whose turn it is: the first, from where the chain of the class stands on, that may still be taken. A chain
 * whose steps are used up has come to quarantine; one that ends with telling tells again.
 */
export function nextTurn(state: PluginState, of: FailureClass, circumstances: ChainCircumstances): Turn {
  const chain = chainOf(state, of);
  const at = state.chains.find((position) => position.class === of) ?? { step: 0, count: 0 };
  const asides: Step[] = [];
  let pastBudget = false;
  let risky: number | undefined;
  for (const [index, step] of chain.entries()) {
    if (index < at.step) continue;
    const count = index === at.step ? at.count : 0;
    if (step.times !== 'any' && count >= step.times) continue;
    if (step.kind === 'rollback' && !circumstances.canGoBack) continue;
    if (step.risky && !circumstances.riskyAllowed) {
      risky ??= index;
      continue;
    }
    const isLast = index === chain.length - 1;
    if (onlyTells(step) && !isLast) {
      asides.push(step);
      continue;
    }
    if (step.times === 'any' && circumstances.budgetUsed && !onlyTells(step) && goesOn(chain, index)) {
      pastBudget = true;
      continue;
    }
    const position = { class: of, step: index, count: count + 1 };
    return { asides, step, index, of: chain.length, position, pastBudget, waits: false };
  }
  const step = risky === undefined ? undefined : chain[risky];
  if (step !== undefined && risky !== undefined) {
    const position = { class: of, step: risky, count: risky === at.step ? at.count : 0 };
    return { asides, step, index: risky, of: chain.length, position, pastBudget, waits: true };
  }
  const position = { class: of, step: chain.length, count: 0 };
  return { asides, step: QUARANTINE, index: chain.length, of: chain.length, position, pastBudget, waits: false };
}

/**
 * Whether there is something after this step that may help when the budget is used up. Quarantine is not: what still
 * serves is worth more, so it waits until nothing does.
 */
function goesOn(chain: Chain, index: number): boolean {
  return chain.slice(index + 1).some((step) => !onlyTells(step) && step.kind !== 'quarantine');
}

/** Where the chains stand after the turn. */
export function withTurn(state: PluginState, { position }: Turn): readonly ChainPosition[] {
  return [...state.chains.filter((other) => other.class !== position.class), position];
}
