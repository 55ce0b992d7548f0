import type { Declaration } from '../declare/declaration.ts';
import { PROBE_NAMES, type Probes } from '../declare/probe.ts';
import { activityBind } from './activity.ts';
import { boxCommand } from './box-command.ts';
import { learningFilterName } from './filter-name.ts';
import { isGated } from './gate.ts';
import { planHostMounts, planState } from './host-mounts.ts';
import { machineName, sandboxUnitName } from './identity.ts';
import { initCommand } from './init-command.ts';
import { slotKey } from './listener-key.ts';
import { hostsMount } from './network.ts';
import { nspawnCommand } from './nspawn-command.ts';
import type { HostPaths, PluginPlan, SandboxIdentity, SandboxPlan } from './plan.ts';
import { planRpc } from './rpc.ts';
import { planMounts, rootDirectory } from './sandbox-view.ts';
import { mainStopSignal } from './stdio.ts';

/** nspawn puts the payload's processes below its unit's group here, and itself into `supervisor`. */
export const NSPAWN_PAYLOAD_GROUP = 'payload';

/** What the kinds of isolation do differently: where init and the payload are, and how the sandbox is ordered. */
const KINDS = {
  nspawn: { payloadGroup: `/${NSPAWN_PAYLOAD_GROUP}`, command: nspawnCommand },
  scope: { payloadGroup: '', command: boxCommand },
} as const;

/** One sandbox of a plugin, completely. The same arguments always give the same plan. */
export function planSandbox(plan: PluginPlan, identity: SandboxIdentity, paths: HostPaths): SandboxPlan {
  const { declaration, plugin } = plan;
  const { slot, generation, uidBase, learning = false, gate = 'open' } = identity;
  const machine = machineName(plugin, slot, generation);
  const { isolation } = declaration;
  const kind = KINDS[isolation];
  const unit = sandboxUnitName(plugin, slot, generation, isolation);
  const gated = isGated(declaration) && !learning;
  const cgroup = `/plugin.slice/${plan.sliceUnit}/${unit}`;
  const unrendered = {
    slot,
    generation,
    uidBase,
    plugin,
    version: plan.version,
    isolation,
    unit,
    sliceUnit: plan.sliceUnit,
    anchorUnit: plan.anchorUnit,
    cgroup,
    payloadCgroup: `${cgroup}${kind.payloadGroup}`,
    machine,
    description: describe(plan, machine),
    rootDirectory: rootDirectory(plan, paths),
    mounts: [
      ...planMounts(plan, { unit, slot }, paths),
      activityBind({ plugin, unit }, paths),
      ...hostsMount(plan.network, unit, paths),
    ],
    network: plan.network,
    hostMounts: planHostMounts(plan, paths),
    state: planState(declaration, paths),
    credentials: plan.credentials,
    limits: plan.limits,
    gated,
    probes: probesOf(declaration),
    metrics: declaration.upgrade.judge.metrics,
    startTimeoutMs: declaration.health.startTimeoutMs,
    stopTimeoutMs: declaration.stop.timeoutMs,
    drainMs: declaration.upgrade.drainMs,
    stopSignal: mainStopSignal(declaration),
    capabilities: declaration.capabilities,
    init: initCommand(
      declaration,
      machine,
      plan.network,
      plan.listeners,
      learning ? ['--seccomp=learn'] : gated ? [`--gate=${gate}`] : [],
    ),
    listeners: plan.listeners.map(({ key, listen }) => ({ key: slotKey(key, slot), listen })),
    ...planRpc(declaration, generation, paths),
    seccomp: learning ? learningFilterName(declaration) : plan.seccomp,
    digest: plan.digest,
  };
  return { ...unrendered, command: kind.command(unrendered, paths) };
}

function describe(plan: PluginPlan, machine: string): string {
  const version = plan.version === undefined ? '' : ` ${plan.version}`;
  return `Sandbox ${machine} of plugin ${plan.plugin}${version}`;
}

function probesOf({ health }: Declaration): Probes {
  return Object.fromEntries(PROBE_NAMES.flatMap((name) => (health[name] === undefined ? [] : [[name, health[name]]])));
}
