import { PROBE_NAMES, type Probe, type Probes } from '../declare/probe.ts';

/** Of processes in the sandbox that ask by connections; native/init/prober.h knows it, too. */
export const PROBER_UID = 1003;

/** How the process that asks calls itself; native/init/prober.c. */
export const PROBER_NAME = 'plugin-prober';

/** Those that a process of init's asks; WATCHDOG=1 comes by itself. */
export function askedProbes(probes: Probes): readonly Probe[] {
  return PROBE_NAMES.flatMap((name) => probes[name] ?? []).filter(({ kind }) => kind !== 'notify');
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
