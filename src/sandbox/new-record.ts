import type { Gate, PlannedMount, PluginPlan, SandboxPlan } from '../plan/plan.ts';
import type { SandboxRecord } from './sandbox-record.ts';

/** What is written down of a sandbox that is to be started. @param gate how it stands at first, if there is one */
export function newRecord(
  { version, limitsDigest }: PluginPlan,
  sandbox: SandboxPlan,
  learning: boolean,
  gate: Gate | undefined,
): SandboxRecord {
  const { unit, plugin, slot, generation, digest, machine, uidBase, cgroup, payloadCgroup, seccomp } = sandbox;
  const { startTimeoutMs, stopTimeoutMs, drainMs, listeners, rpc, hostMounts, mounts, probes } = sandbox;
  return {
    format: 1,
    unit,
    plugin,
    slot,
    generation,
    version: version ?? null,
    digest,
    machine,
    uidBase,
    cgroup,
    payloadCgroup,
    seccomp,
    startTimeoutMs,
    stopTimeoutMs,
    drainMs,
    listeners: listeners.map(({ key }) => key),
    ...(rpc === undefined ? {} : { rpc }),
    limits: limitsDigest,
    hostMounts: hostMounts.map(({ where }) => where),
    ...(learning ? { learning } : {}),
    ...(gate === undefined ? {} : { gate, firstGate: gate }),
    ...(Object.keys(probes).length === 0 ? {} : { probed: true }),
    fillable: mounts.filter(canFill).map(({ target }) => target),
  };
}

/** Its temporary file systems, and its directory for what has to last. */
function canFill({ kind }: PlannedMount): boolean {
  return kind === 'tmpfs' || kind === 'bind';
}
