import { formatBytes } from '../base/bytes.ts';
import type { RaiseStep } from '../declare/recovery.ts';
import { digestText } from '../plan/digest.ts';
import { liveLimitsDigest } from '../plan/live-limits.ts';
import type { PlannedLimits, PluginPlan } from '../plan/plan.ts';

/**
 * The plan with a higher limit, until the declaration is read again; undefined when it is as high as the step lets it
 * be. Limits that the kernel lets be changed are then set on what runs; another number of open files takes new sandboxes.
 */
export function raisePlan(plan: PluginPlan, step: RaiseStep): { plan: PluginPlan; text: string } | undefined {
  const { limits } = plan;
  const key = ({ memory: 'memoryMax', tasks: 'tasksMax', files: 'files' } as const)[step.limit];
  const before = limits[key];
  if (before === 'infinity') return undefined;
  const wished = 'percent' in step.by ? before * (1 + step.by.percent / 100) : before + step.by.amount;
  const after = Math.min(step.most, Math.floor(wished));
  if (after <= before) return undefined;
  const raised: PlannedLimits = { ...limits, [key]: after, ...highOf(step, limits, after / before) };
  const show = (value: number): string => (step.limit === 'memory' ? formatBytes(value) : String(value));
  return {
    plan: {
      ...plan,
      limits: raised,
      limitsDigest: liveLimitsDigest(raised),
      digest: step.limit === 'files' ? digestText(`${plan.digest} files ${after}`) : plan.digest,
    },
    text: `${step.limit} from ${show(before)} to ${show(after)}`,
  };
}

/** Where memory is slowed down keeps its distance. */
function highOf({ limit }: RaiseStep, { memoryHigh }: PlannedLimits, factor: number): Partial<PlannedLimits> {
  if (limit !== 'memory' || memoryHigh === 'infinity') return {};
  return { memoryHigh: Math.floor(memoryHigh * factor) };
}
