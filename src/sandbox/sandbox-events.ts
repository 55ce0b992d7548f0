import type { Failure } from '../base/failure.ts';
import type { Gate } from '../plan/plan.ts';
import type { ForbiddenCall, Helper, MetricsReport, ProbeReport } from './report.ts';
import type { SandboxRecord } from './sandbox-record.ts';

/** How a payload ended; `unknown` when only the empty cgroup was seen. */
export interface SandboxExit {
  readonly how: 'exited' | 'killed' | 'dumped' | 'unknown';
  readonly status: number;
  readonly forbidden?: ForbiddenCall | undefined;
  readonly lostHelper?: Helper | undefined;
  readonly childrenLeft?: boolean | undefined;
}

/** What happens to a sandbox, told as it is seen. */
export interface SandboxEvents {
  ready(record: SandboxRecord): void;
  startFailed(record: SandboxRecord, failure: Failure): void;
  exited(record: SandboxRecord, exit: SandboxExit): void;
  stopSeen(record: SandboxRecord): void;
  /** Init says that its gate stands so. */
  gate(record: SandboxRecord, gate: Gate): void;
  /** All of it was killed two seconds ago, and some is still there. Told again until nothing is. */
  unkillable(record: SandboxRecord): void;
  /** A probe passes now, or does not any more; not told while it cannot be asked. */
  probed(record: SandboxRecord, probe: ProbeReport): void;
  /** What its program tells of itself, after somebody asked. */
  metrics(record: SandboxRecord, metrics: MetricsReport): void;
  /** Nothing is left of it. Also told of a unit that was ordered but of which nothing ever came to be. */
  cleared(sandbox: Pick<SandboxRecord, 'plugin' | 'unit'>): void;
}
