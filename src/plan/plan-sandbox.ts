import { machineName, sandboxUnitName } from './identity.ts';
import { sandboxCommand } from './nspawn-command.ts';
import type { HostPaths, PluginPlan, SandboxIdentity, SandboxPlan } from './plan.ts';
import { planMounts, rootDirectory } from './sandbox-view.ts';

/** One sandbox of a plugin, completely. The same arguments always give the same plan. */
export function planSandbox(plan: PluginPlan, identity: SandboxIdentity, paths: HostPaths): SandboxPlan {
  const { declaration, plugin } = plan;
  const { slot, generation, uidBase } = identity;
  const machine = machineName(plugin, slot, generation);
  const root = rootDirectory(declaration.view, paths);
  const mounts = planMounts(declaration, paths);
  const { nspawn } = paths;
  const { listeners } = plan;
  return {
    slot,
    generation,
    uidBase,
    plugin,
    version: plan.version,
    unit: sandboxUnitName(plugin, slot, generation),
    sliceUnit: plan.sliceUnit,
    anchorUnit: plan.anchorUnit,
    machine,
    description: describe(plan, machine),
    rootDirectory: root,
    mounts,
    limits: plan.limits,
    startTimeoutMs: declaration.health.startTimeoutMs,
    stopTimeoutMs: declaration.stop.timeoutMs,
    stopSignal: declaration.stop.signal,
    launcher: `${paths.lib}/plugin-launch`,
    command: sandboxCommand({ nspawn, machine, uidBase, rootDirectory: root, mounts, listeners, declaration }),
    listeners,
    seccomp: plan.seccomp,
    digest: plan.digest,
  };
}

function describe(plan: PluginPlan, machine: string): string {
  const version = plan.version === undefined ? '' : ` ${plan.version}`;
  return `Sandbox ${machine} of plugin ${plan.plugin}${version}`;
}
