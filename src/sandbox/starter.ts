import type { SandboxPlan } from '../plan/plan.ts';
import type { BusProperty } from '../unit/properties.ts';
import type { TransientUnit } from '../unit/transient-unit.ts';
import type { SandboxRecord } from './sandbox-record.ts';

/** The part of systemd that sandboxes need. */
export interface UnitControl {
  /** Starts a transient unit and waits for its job; throws BH506 when the job fails, BH504 when it is refused. */
  startTransient(unit: TransientUnit, timeoutMs: number): Promise<void>;
  /** Changes limits of a living unit until it ends; throws BH504 when one is refused. */
  setLimits(unit: string, properties: readonly BusProperty[]): Promise<void>;
  /** Asks for the stop without waiting for it; throws BH504 with NoSuchUnit when there is none. */
  stop(unit: string): Promise<void>;
}

/** Descriptors for a sandbox: report pipe, filter, listeners. Whoever asks for them closes them. */
export type DescriptorsFor = (unit: string) => Promise<{ readonly fds: readonly number[] }>;

/** How a sandbox of one kind of isolation comes to be once it is planned and recorded. */
export interface Starter {
  /** A start is about to be asked for; what can be made ready beside other work. */
  announce(): void;
  /**
   * Leaves it in systemd's hands. True: it is ready. False: it runs, and init will report when it is ready. When this
   * fails, whatever was made of it ends by itself or with its unit.
   *
   * @param wanted whether nobody has asked for its stop meanwhile; systemd itself can be asked only when there is a unit
   */
  start(plan: SandboxPlan, wanted: () => boolean): Promise<boolean>;
  /** Whether a sandbox whose unit is active is ready. */
  isReady(record: SandboxRecord): boolean;
}
