import { readFile } from 'node:fs/promises';
import type { LiveConfiguration } from '../act/live-configuration.ts';
import type { Supervisor } from '../act/supervisor.ts';
import type { Clock, Owned } from '../base/clock.ts';
import type { Failure } from '../base/failure.ts';
import { MOST_FACTS_BYTES } from '../diagnose/node-facts.ts';
import { concerns, hardwareVerdict, type Trouble } from '../diagnose/node-health.ts';
import type { HostPaths } from '../plan/plan.ts';
import type { Manager } from '../systemd/manager.ts';
import { NodeWatch } from '../watch/node-watch.ts';
import type { NodeReport } from './api.ts';

/** One look at the node; the unit's own time limit ends one that hangs. */
const UNIT = 'bulkhead-node.service';
/** Longer than the limit of the unit and what systemd takes for the end. */
const JOB_MS = 60_000;

export interface NodeDeskParts {
  readonly clock: Clock;
  readonly paths: HostPaths;
  readonly manager: Manager;
  readonly configuration: LiveConfiguration;
  readonly plugins: Supervisor;
  readonly note: (text: string) => void;
  readonly ignored: (text: string, failure: Failure) => void;
}

/** Watches the node, and tells the plugins that are concerned what is wrong with it. */
export class NodeDesk implements Owned {
  readonly #parts: NodeDeskParts;
  readonly #watch: NodeWatch;

  constructor(parts: NodeDeskParts) {
    this.#parts = parts;
    const { clock, configuration, note, ignored } = parts;
    this.#watch = new NodeWatch({
      clock,
      wall: () => Date.now(),
      look: () => this.#look(),
      began: (trouble) => this.#began(trouble),
      ended: ({ kind, gpu }) => note(`the node is well again: ${gpu === undefined ? kind : `${kind} of GPU ${gpu}`}`),
      failed: (failure) => ignored('the node cannot be looked at, trying again later', failure),
    });
    configuration.follow(({ node }) => this.#watch.configure(node));
  }

  report(): NodeReport {
    const { seen, failure, troubles } = this.#watch;
    return {
      at: seen?.at ?? null,
      facts: seen?.facts ?? null,
      thresholds: this.#parts.configuration.current.node,
      troubles: troubles.map(({ kind, gpu = null, text }) => ({ kind, gpu, text })),
      failure: failure === undefined ? null : { code: failure.code, text: failure.message },
    };
  }

  release(): void {
    this.#watch.release();
  }

  async #look(): Promise<string> {
    const { manager, paths } = this.#parts;
    await manager.startUnit(UNIT, { jobTimeoutMs: JOB_MS });
    const bytes = await readFile(`${paths.run}/node.json`);
    return bytes.subarray(0, MOST_FACTS_BYTES).toString('utf8');
  }

  #began(trouble: Trouble): void {
    const { plugins, configuration, note } = this.#parts;
    note(`the node is not well: ${trouble.text}`);
    const verdict = hardwareVerdict(trouble, configuration.current.node.looks);
    for (const loop of plugins.loops.values()) {
      const { phase, plan } = loop.state;
      if (phase !== 'on' || plan === undefined) continue;
      const devices = plan.declaration.devices.map(({ path }) => path);
      if (concerns(trouble, devices)) loop.observe({ kind: 'node-ill', verdict });
    }
  }
}
