import { type PluginState, serving } from '../decide/plugin-state.ts';
import { changeText, planChanges, reloadWay } from '../plan/changes.ts';
import type { PluginPlan } from '../plan/plan.ts';
import type { PlanReport } from './api.ts';

/** How what runs differs from the plan as it is declared now, and what a reload would make of that. */
export function compareWithPlan(
  state: PluginState | undefined,
  plan: PluginPlan,
): Pick<PlanReport, 'differences' | 'reload'> {
  if (state?.plan === undefined) return { differences: [`nothing runs; ${plan.size} would be started`], reload: null };
  const changes = planChanges(state.plan, plan);
  return {
    differences: [...changes.map(changeText), ...outdated(state, plan)],
    reload: { way: reloadWay(changes) ?? null, refused: refusal(state, plan) },
  };
}

function outdated(state: PluginState, { digest, size }: PluginPlan): string[] {
  const alive = serving(state);
  const old = alive.filter((entry) => entry.digest !== digest);
  const missing = size - alive.length;
  return [
    ...old.map(
      ({ unit }) => `${unit} runs an earlier declaration or version; it is replaced at the next reload or start`,
    ),
    ...(missing > 0 ? [`${missing} of ${size} sandboxes missing`] : []),
    ...(missing < 0 ? [`${-missing} sandboxes more than the ${size} declared`] : []),
  ];
}

/** A plan that failed is not tried again by itself. */
function refusal({ failedPlans }: PluginState, { digest, version }: PluginPlan): string | null {
  const failed = failedPlans.find((each) => each.digest === digest && each.version === version);
  return failed === undefined ? null : `it failed before: ${failed.reason.code} ${failed.reason.text}`;
}
