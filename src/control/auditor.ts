import type { SystemdUnits } from '../act/systemd-units.ts';
import type { UnitFacts } from '../audit/facts.ts';
import { type Finding, finding, worst } from '../audit/finding.ts';
import { judgeSandbox, outdated } from '../audit/judge-sandbox.ts';
import { judgeProperties } from '../audit/judge-unit.ts';
import type { Clock } from '../base/clock.ts';
import type { PluginState, SandboxEntry } from '../decide/plugin-state.ts';
import { otherSlot, planOf } from '../decide/sides.ts';
import { type HostProcesses, hostProcesses } from '../kernel/host-processes.ts';
import { sandboxFacts } from '../kernel/sandbox-facts.ts';
import type { HostPaths, PluginPlan, SandboxPlan } from '../plan/plan.ts';
import { planSandbox } from '../plan/plan-sandbox.ts';
import type { FilterCache } from '../sandbox/filter-cache.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import type { Manager } from '../systemd/manager.ts';
import type { Listeners } from '../traffic/listeners.ts';
import { withLimits } from '../unit/administrator-limits.ts';
import { pluginSlice } from '../unit/plugin-slice.ts';
import { sandboxUnitType } from '../unit/transient-unit.ts';
import type { AuditedSandbox, AuditReport } from './api.ts';

export interface AuditorParts {
  readonly clock: Clock;
  readonly paths: HostPaths;
  readonly units: SystemdUnits;
  readonly manager: Manager;
  readonly sandboxes: Sandboxes;
  readonly listeners: Listeners;
  readonly filters: FilterCache;
}

/** What is wrong at one look may be a process between fork and exec; it is told only if it is still so later. */
const LOOKS = 3;
const BETWEEN_LOOKS_MS = 150;

/** Compares the living sandboxes of plugins with the plan in force. It reads only, one plugin after the other. */
export class Auditor {
  readonly #parts: AuditorParts;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: AuditorParts) {
    this.#parts = parts;
  }

  /** @param state what the plugin's loop knows at the moment; asked again after each look */
  audit(plugin: string, shown: AuditReport['state'], state: () => PluginState | undefined): Promise<AuditReport> {
    const audited = this.#turn.then(() => this.#audit(plugin, shown, state));
    this.#turn = audited.catch(() => {});
    return audited;
  }

  async #audit(
    plugin: string,
    shown: AuditReport['state'],
    state: () => PluginState | undefined,
  ): Promise<AuditReport> {
    const before = state();
    const plan = before?.plan;
    if (before === undefined || plan === undefined || before.phase === 'off') {
      return { plugin, state: shown, digest: null, verdict: null, slice: [], sandboxes: [], notCompared: [] };
    }
    const audited = new Map<string, AuditedSandbox>();
    const notCompared: { unit: string; why: string }[] = [];
    let pending = [...before.sandboxes.values()].filter((entry) => {
      const why = this.#whyNot(entry);
      if (why !== undefined) notCompared.push({ unit: entry.unit, why });
      return why === undefined;
    });
    for (let look = 1; look <= LOOKS && pending.length > 0; look++) {
      if (look > 1) await this.#pause();
      const host = await hostProcesses();
      const again: SandboxEntry[] = [];
      for (const entry of pending) {
        const result = await this.#look(planOf(before, entry.slot) ?? plan, entry, host);
        if (result === undefined) audited.delete(entry.unit);
        else audited.set(entry.unit, result);
        const verdict = result === undefined ? 'unknown' : worst(result.findings);
        if (verdict === 'broken' || verdict === 'unknown') again.push(entry);
      }
      pending = again;
    }
    for (const { unit } of pending) {
      // What ended, or is ending, while it was read is no finding.
      const life = state()?.sandboxes.get(unit)?.life;
      if (life !== 'ready' && life !== 'starting') {
        audited.delete(unit);
        notCompared.push({ unit, why: 'it ended while it was read' });
      } else if (!audited.has(unit)) audited.set(unit, unreadable(unit));
    }
    const slice = audited.size === 0 ? [] : await this.#slice(plan, planOf(before, otherSlot(before.slot)));
    const sandboxes = [...audited.values()];
    return {
      plugin,
      state: shown,
      digest: plan.digest,
      verdict: sandboxes.length === 0 ? null : worst([...slice, ...sandboxes.flatMap(({ findings }) => findings)]),
      slice,
      sandboxes,
      notCompared,
    };
  }

  /** Before the payload was executed its walls are not all up; after its end there is nothing to see. */
  #whyNot({ unit, life, learning }: SandboxEntry): string | undefined {
    if (learning) return 'it learns: init goes by a wider list in place of its filter';
    const sandbox = this.#parts.sandboxes.get(unit);
    if (sandbox === undefined || life === 'dead' || life === 'gone') return 'it ended';
    return life === 'starting' && sandbox.payloadPid === undefined ? 'it starts' : undefined;
  }

  async #look(plan: PluginPlan, entry: SandboxEntry, host: HostProcesses): Promise<AuditedSandbox | undefined> {
    const { sandboxes, paths, listeners } = this.#parts;
    const sandbox = sandboxes.get(entry.unit);
    if (sandbox === undefined) return undefined;
    const { record } = sandbox;
    const { unit } = record;
    if (record.digest !== plan.digest) {
      const findings = [outdated(record.digest, plan.digest)];
      return { unit, initPid: null, payloadPid: null, processes: 0, findings };
    }
    const sandboxPlan = planSandbox(plan, { ...record, gate: record.firstGate ?? record.gate }, paths);
    const descriptors = record.listeners.map((key) => listeners.descriptor(key)).filter((fd) => fd !== undefined);
    const target = { plan: sandboxPlan, listeners: descriptors };
    const [facts, unitFacts] = await Promise.all([sandboxFacts(target, host), this.#unitFacts(sandbox, sandboxPlan)]);
    if (facts === undefined) return undefined;
    return {
      unit,
      initPid: facts.init.pid,
      payloadPid: facts.mainPid,
      processes: facts.processes.length + 1,
      findings: judgeSandbox(sandboxPlan, plan.declaration, facts, unitFacts),
    };
  }

  async #unitFacts({ record }: Sandbox, plan: SandboxPlan): Promise<UnitFacts> {
    const { manager, filters } = this.#parts;
    const [properties, filterCompiled] = await Promise.all([
      manager.unitProperties(record.unit, ['Unit', sandboxUnitType(plan)]),
      filters.digest(record.seccomp),
    ]);
    return { properties, filterGiven: record.filter ?? null, filterCompiled };
  }

  async #slice(plan: PluginPlan, beside: PluginPlan | undefined): Promise<Finding[]> {
    const { manager, units } = this.#parts;
    const [limits, properties] = await Promise.all([
      units.anchorLimits(plan.plugin),
      manager.unitProperties(plan.sliceUnit, ['Unit', 'Slice']),
    ]);
    const slice = withLimits(pluginSlice(plan, beside), limits);
    return judgeProperties(slice.name, slice.properties, properties);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#parts.clock.after(BETWEEN_LOOKS_MS, resolve);
    });
  }
}

/** It lives, as far as is known, and nothing of it could be read. */
function unreadable(unit: string): AuditedSandbox {
  const findings = [finding('completeness', 'unknown', 'all of it can be read', 'no process could be read')];
  return { unit, initPid: null, payloadPid: null, processes: 0, findings };
}
