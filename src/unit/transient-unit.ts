import { initFiles } from '../plan/init-command.ts';
import { forwarderFiles, helperNeeds } from '../plan/network.ts';
import type { SandboxPlan } from '../plan/plan.ts';
import { signalNumber } from '../plan/signal-number.ts';
import { limitSettings, unitLimits } from './overhead.ts';
import { type BusProperty, busProperties, type Settings } from './properties.ts';

/** A unit for StartTransientUnit. */
export interface TransientUnit {
  readonly name: string;
  readonly properties: readonly BusProperty[];
}

/**
 * systemd's own time limits come later than ours, so that the supervisor ends a payload first and nspawn stays to clean
 * up: a SIGKILL for nspawn, which is what systemd does at its limit, leaks a mount. Milliseconds.
 */
export const BACKSTOP_MS = 5000;

/**
 * For the kernel's choice when memory runs out. Nobody without CAP_SYS_RESOURCE on the host gets below it: init raises
 * the payload's to 1000, so that it dies before nspawn, and a payload can lower its own again, but to this only.
 */
const OOM_SCORE = 900;

/**
 * What nspawn needs on the host: to mount, to map ids (SETFCAP: root's among them, for what is bound id-mapped), to make
 * device nodes, and to read what is not root's. SYS_PTRACE: systemd 252 finds the network namespace of its own child by
 * that child's /proc.
 */
const NSPAWN_CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SYS_ADMIN',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
];

/** What the forwarder needs beside that, to give up its bounding set. */
const FORWARDER_CAPABILITIES = ['CAP_SETPCAP'];

/** Status of init for a payload that ended by SIGTERM or the declared stop signal: 128 + signal. */
function stopStatuses(stopSignal: string): number[] {
  const term = 128 + signalNumber('SIGTERM');
  const own = 128 + signalNumber(stopSignal);
  return own === term ? [term] : [term, own];
}

/** What is set on a sandbox's unit, by plan field. */
export function sandboxSettings(plan: SandboxPlan): Settings {
  return KINDS[plan.isolation].settings(plan);
}

/** Type of a sandbox's unit. */
export function sandboxUnitType(plan: SandboxPlan): 'Service' | 'Scope' {
  return KINDS[plan.isolation].type;
}

/** The unit of one sandbox, for StartTransientUnit; a scope needs its process on top. */
export function transientUnit(plan: SandboxPlan): TransientUnit {
  return { name: plan.unit, properties: busProperties(sandboxSettings(plan)) };
}

/** The scope around processes that exist already. */
export function scopeAround(pids: readonly number[], plan: SandboxPlan): TransientUnit {
  const { name, properties } = transientUnit(plan);
  return { name, properties: [...properties, ['PIDs', 'au', pids]] };
}

/** What both kinds of units have. */
function commonSettings(plan: SandboxPlan): Settings {
  return {
    description: plan.description,
    // Stopping the anchor stops the sandboxes even without a supervisor. Not ordered after it: the anchor's start job
    // ends only when sandboxes are ready, and would wait for ever.
    stopPropagatedFrom: [plan.anchorUnit],
    collectMode: 'inactive-or-failed',
    stopTimeout: Math.max(plan.stopTimeoutMs, plan.drainMs) + BACKSTOP_MS,
    slice: plan.sliceUnit,
    devicePolicy: 'closed',
    ...deviceSettings(plan),
    ...limitSettings(unitLimits(plan.limits, plan.isolation, helperNeeds(plan, plan.probes, plan.metrics))),
  };
}

/** The service of a sandbox that nspawn makes. */
function serviceSettings(plan: SandboxPlan): Settings {
  return {
    ...commonSettings(plan),
    type: 'notify',
    // READY comes from nspawn itself, which is the main process after the launcher's exec.
    notifyAccess: 'main',
    execStart: plan.command,
    environment: [
      // nspawn's own filter costs 41 of 71 ms at start and is wider than ours, which init must load or nothing runs.
      'SYSTEMD_SECCOMP=0',
      // /tmp comes from the declared, size-limited tmpfs.
      'SYSTEMD_NSPAWN_TMPFS_TMP=0',
    ],
    startTimeout: plan.startTimeoutMs + BACKSTOP_MS,
    // SIGTERM for nspawn alone, which hands it to init; whatever is left at the time limit is killed.
    killMode: 'mixed',
    successExitStatus: stopStatuses(plan.stopSignal),
    // The kernel kills the payload only (init raised its score); systemd must not kill nspawn after it.
    oomScoreAdjust: OOM_SCORE,
    oomPolicy: 'continue',
    // For nspawn; in the sandbox's own user namespace they begin anew. What else could be taken from nspawn and is not,
    // and why: docs/security.md.
    capabilities: [...NSPAWN_CAPABILITIES, ...(plan.network.mode === 'egress' ? FORWARDER_CAPABILITIES : [])],
    noNewPrivileges: true,
    umask: 0o077,
    // The payload's own limit is lower where something in the unit needs more.
    files: Math.max(initFiles(plan), forwarderFiles(plan)),
    memoryLock: plan.limits.memoryLock,
    core: plan.limits.core,
    logInterval: plan.limits.log.withinMs,
    logBurst: plan.limits.log.messages,
    standardInput: 'null',
    standardOutput: 'journal',
    standardError: 'journal',
    syslogIdentifier: plan.plugin,
    logExtraFields: [
      `BULKHEAD_PLUGIN=${plan.plugin}`,
      ...(plan.version === undefined ? [] : [`BULKHEAD_VERSION=${plan.version}`]),
      `BULKHEAD_SANDBOX=${plan.machine}`,
    ],
    // nspawn makes cgroups of its own below the unit's, which is only allowed in a delegated one.
    delegate: true,
  };
}

const SIGCONT = 18;

/** The scope of a sandbox whose init was cloned by the spawner. */
function scopeSettings(plan: SandboxPlan): Settings {
  return {
    ...commonSettings(plan),
    // A scope knows no main process, so whatever stops it is sent to all: SIGCONT, which does nothing to a payload,
    // and which init takes as the request to stop (decision 10).
    killMode: 'control-group',
    killSignal: SIGCONT,
    sendSigkill: true,
    // The kernel kills the payload only; what is delegated is not stopped after it (systemd.scope(5), OOMPolicy=).
    delegate: true,
  };
}

/** What the policy lets pass beside the pseudo devices; the kernel asks it whatever the view shows. */
function deviceSettings({ mounts }: SandboxPlan): Settings {
  const devices = mounts.filter((mount) => mount.kind === 'device');
  return devices.length === 0 ? {} : { deviceAllow: devices.map(({ source, access }) => [source, access] as const) };
}

const KINDS = {
  nspawn: { type: 'Service', settings: serviceSettings },
  scope: { type: 'Scope', settings: scopeSettings },
} as const;
