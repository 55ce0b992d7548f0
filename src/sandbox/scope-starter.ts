import { closeSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import { hastenMoves } from '../kernel/cgroup.ts';
import { initName } from '../kernel/payload.ts';
import type { SandboxPlan } from '../plan/plan.ts';
import { scopeAround } from '../unit/transient-unit.ts';
import type { SandboxRecord } from './sandbox-record.ts';
import type { ClonedProcess, Spawner } from './spawner-client.ts';
import type { DescriptorsFor, Starter, UnitControl } from './starter.ts';

/** How init calls itself from its READY on; native/init/supervise.c. */
const READY_NAME = 'plugin-ready';

/** How long (ms) systemd may take to put a process into a scope. */
const JOB_MS = 15_000;

/**
 * A scope around a process that the spawner cloned. The process is let go only when it is in the scope; until then it
 * ends with our connection to the spawner, whatever happens to us.
 */
export class ScopeStarter implements Starter {
  readonly #units: UnitControl;
  readonly #spawner: Spawner;
  readonly #descriptors: DescriptorsFor;

  constructor(units: UnitControl, spawner: Spawner, descriptors: DescriptorsFor) {
    this.#units = units;
    this.#spawner = spawner;
    this.#descriptors = descriptors;
  }

  /** systemd will move a process into a scope. */
  announce(): void {
    hastenMoves();
  }

  async start(plan: SandboxPlan, wanted: () => boolean): Promise<boolean> {
    const cloned = await this.#clone(plan);
    try {
      if (!wanted()) throw new Failure('BH301', `'${plan.unit}' was stopped before it was there`);
      await this.#units.startTransient(scopeAround(cloned.pids, plan), JOB_MS);
      await cloned.go();
    } finally {
      cloned.release();
    }
    return false;
  }

  /** A scope is active from the moment on that it has a process. */
  isReady({ payloadCgroup }: SandboxRecord): boolean {
    return initName(payloadCgroup) === READY_NAME;
  }

  async #clone({ unit, command }: SandboxPlan): Promise<ClonedProcess> {
    const { fds } = await this.#descriptors(unit);
    try {
      return await this.#spawner.clone({ unit, words: command, fds });
    } finally {
      for (const fd of fds) closeSync(fd);
    }
  }
}
