import type { Declaration } from '../declare/declaration.ts';
import { ACTIVITY_PATH } from './activity.ts';
import { PAYLOAD_GID, PAYLOAD_UID } from './identity.ts';
import { networkOptions } from './network.ts';
import type { PlannedListener, PlannedNetwork, SandboxPlan } from './plan.ts';
import { metricsOptions, probeOptions } from './probes.ts';
import { INIT_PATH, programInside, viewEnvironment, workingDirectory } from './sandbox-view.ts';
import { signalNumber } from './signal-number.ts';
import { isInPlace } from './slot.ts';
import { bridgeWords, mainStopSignal } from './stdio.ts';

/**
 * PID 1 of a sandbox, whatever made it: init with its options, the payload with its arguments.
 *
 * @param kind options that tell this sandbox from others of the plugin
 */
export function initCommand(
  declaration: Declaration,
  machine: string,
  network: PlannedNetwork,
  listeners: readonly PlannedListener[],
  kind: readonly string[],
): readonly string[] {
  return [
    INIT_PATH,
    `--uid=${PAYLOAD_UID}`,
    `--gid=${PAYLOAD_GID}`,
    ...handedOver(listeners).map(({ listen }) => `--listen=${listen.name}`),
    ...networkOptions(declaration, network, listeners),
    ...(declaration.rpc === undefined ? [] : ['--rpc=yes']),
    ...Object.entries(payloadEnvironment(declaration, machine)).map(([name, value]) => `--env=${name}=${value}`),
    ...probeOptions(declaration.health),
    ...metricsOptions(declaration.upgrade.judge.metrics),
    `--chdir=${workingDirectory(declaration)}`,
    `--ready=${declaration.health.ready}`,
    `--stop-signal=${signalNumber(mainStopSignal(declaration))}`,
    `--nofile=${declaration.limits.files}`,
    `--memory-lock=${declaration.limits.memoryLock}`,
    `--core=${declaration.limits.core}`,
    ...declaration.capabilities.map((name) => `--cap=${name}`),
    ...kind,
    '--',
    ...bridgeWords(declaration),
    programInside(declaration),
    ...declaration.exec.slice(1),
  ];
}

/** The listeners that the payload gets itself, from descriptor 3 on. */
export function handedOver(listeners: readonly PlannedListener[]): readonly PlannedListener[] {
  return listeners.filter(({ listen }) => listen.to === undefined);
}

/** Beside connections: standard streams, listeners and the adapter's own; native/init/adapter.c. */
const OTHER_DESCRIPTORS = 64;

/** Descriptors that init's processes may have: its adapter takes two for each connection. */
export function initFiles({ limits, listeners }: Pick<SandboxPlan, 'limits' | 'listeners'>): number {
  return handedOver(listeners).length === listeners.length ? limits.files : 2 * limits.files + OTHER_DESCRIPTORS;
}

/** The payload's whole environment but for the LISTEN_* and NOTIFY_SOCKET that init adds. */
export function payloadEnvironment(declaration: Declaration, machine: string): Record<string, string> {
  return {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    HOME: '/tmp',
    LANG: 'C.UTF-8',
    TMPDIR: '/tmp',
    ...declaration.environment,
    ...viewEnvironment(declaration),
    BULKHEAD_PLUGIN: declaration.name,
    ...versionEnvironment(declaration),
    BULKHEAD_SANDBOX: machine,
    BULKHEAD_ACTIVITY: ACTIVITY_PATH,
    ...watchdogEnvironment(declaration),
  };
}

/** How often a sign of life has to come, for a program that is asked for one; sd_watchdog_enabled(3). */
function watchdogEnvironment({ health: { liveness } }: Declaration): Record<string, string> {
  if (liveness?.kind !== 'notify') return {};
  return { WATCHDOG_USEC: String(liveness.everyMs * liveness.misses * 1000) };
}

/** What changes while a program runs, its environment cannot tell. */
function versionEnvironment(declaration: Declaration): Record<string, string> {
  const { version } = declaration;
  return version === undefined || isInPlace(declaration) ? {} : { BULKHEAD_VERSION: version };
}
