import type { SandboxPlan } from '../plan/plan.ts';
import { transientUnit } from '../unit/transient-unit.ts';
import type { Starter, UnitControl } from './starter.ts';

/** How much longer (ms) than the sandbox's own limit its start job is waited for: systemd has a limit of its own. */
const JOB_GRACE_MS = 15_000;

/** A service that is nspawn: its launcher fetches the descriptors, and its job is done when init said READY. */
export class NspawnStarter implements Starter {
  readonly #units: UnitControl;

  constructor(units: UnitControl) {
    this.#units = units;
  }

  announce(): void {}

  async start(plan: SandboxPlan): Promise<boolean> {
    await this.#units.startTransient(transientUnit(plan), plan.startTimeoutMs + JOB_GRACE_MS);
    return true;
  }

  isReady(): boolean {
    return true;
  }
}
