import { PROBE_NAMES, type Probe, type Probes } from '../declare/probe.ts';
import type { MetricsEndpoint } from '../declare/upgrade.ts';

/** Of processes in the sandbox that ask by connections; native/init/prober.h knows it, too. */
export const PROBER_UID = 1003;

/** How the process that asks calls itself; native/init/prober.c. */
export const PROBER_NAME = 'plugin-prober';

/** Those that a process of init's asks; WATCHDOG=1 comes by itself. */
export function askedProbes(probes: Probes): readonly Probe[] {
  return PROBE_NAMES.flatMap((name) => probes[name] ?? []).filter(({ kind }) => kind !== 'notify');
}

/** Questions that can be under way at a time; without any, nobody is there who asks. */
export function questionsOf(probes: Probes, metrics: MetricsEndpoint | undefined): number {
  return askedProbes(probes).length + (metrics === undefined ? 0 : 1);
}

/** Whether the program is handed a socket for probes. */
export function hasProbeSocket(probes: Probes): boolean {
  return askedProbes(probes).some(({ kind, port }) => kind !== 'command' && port === undefined);
}

/** Whether whoever asks has to become the payload, which takes privileges. */
export function asksByCommand(probes: Probes): boolean {
  return askedProbes(probes).some(({ kind }) => kind === 'command');
}

/** Init's options about the probes. */
export function probeOptions(probes: Probes): readonly string[] {
  return PROBE_NAMES.flatMap((name) => {
    const probe = probes[name];
    if (probe === undefined) return [];
    const { kind, everyMs, timeoutMs, misses, passes, port, path, words = [] } = probe;
    return [
      `--probe=${[name, kind, everyMs, timeoutMs, misses, passes].join(':')}`,
      ...(port === undefined ? [] : [`--probe-port=${port}`]),
      ...(path === undefined ? [] : [`--probe-path=${path}`]),
      ...words.map((word) => `--probe-word=${word}`),
    ];
  });
}

/** Init's options about the program's own figures. */
export function metricsOptions(metrics: MetricsEndpoint | undefined): readonly string[] {
  if (metrics === undefined) return [];
  const { port, path, ...names } = metrics;
  return [
    `--metrics-port=${port}`,
    `--metrics-path=${path}`,
    ...(['requests', 'errors', 'latency'] as const).flatMap((name) => {
      const called = names[name];
      return called === undefined ? [] : [`--metrics-${name}=${called}`];
    }),
  ];
}
