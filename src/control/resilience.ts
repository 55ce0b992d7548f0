import type { Recoveries } from '../decide/plugin-state.ts';
import type { Probes } from '../declare/probe.ts';
import type { SandboxStatus } from './api.ts';

/** How well a plugin is looked after: what can be seen of it, and what became of its failures. */
export interface ResilienceStatus {
  /** From 0 to 100: the mean of the shares below, as far as they are known. */
  readonly score: number;
  /** Sources that tell something of it now, and those that could and do not. */
  readonly sees: readonly string[];
  readonly blindTo: readonly string[];
}

/** The share of what is seen, and that of failures that were over by themselves. */
export function resilience(
  { over, alone }: Pick<Recoveries, 'over' | 'alone'>,
  { readiness, liveness }: Pick<Probes, 'readiness' | 'liveness'>,
  sandboxes: readonly Pick<SandboxStatus, 'vitals' | 'memoryBytes'>[],
): ResilienceStatus {
  const sources = {
    'exit reports': true,
    heartbeat: sandboxes.some(({ vitals }) => vitals !== null),
    'memory of its cgroup': sandboxes.some(({ memoryBytes }) => memoryBytes !== null),
    'activity page': sandboxes.some(({ vitals }) => vitals?.requests != null),
    'readiness probe': readiness !== undefined,
    'liveness probe': liveness !== undefined,
  };
  const named = (active: boolean): string[] =>
    Object.entries(sources)
      .filter(([, is]) => is === active)
      .map(([name]) => name);
  const sees = named(true);
  const shares = [sees.length / Object.keys(sources).length, ...(over === 0 ? [] : [alone / over])];
  return {
    score: Math.round((100 * shares.reduce((sum, share) => sum + share, 0)) / shares.length),
    sees,
    blindTo: named(false),
  };
}
