import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { cgroupOf, processesIn } from './cgroup.ts';
import { openProcess, queueSignal, SystemCallFailure } from './native.ts';
import { isInit } from './payload.ts';

/** What init takes for the wish to say again what its probes say, SIGRTMIN + 2; native/init/supervise.c. */
const PROBES_SIGNAL = 36;

/** What init takes for the wish to know what the program tells of itself, SIGRTMIN + 3. */
const METRICS_SIGNAL = 37;

/** Its value is a signal for the program, which gets it when it is ready, SIGRTMIN + 4. */
const RELOAD_SIGNAL = 38;

/** Init sends the payload's main process this signal, as soon as that is ready. Throws BH601. */
export function signalReload(payloadCgroup: string, name: NodeJS.Signals): void {
  signalInit(payloadCgroup, RELOAD_SIGNAL, constants.signals[name]);
}

/** Init asks the program for its figures, where it has any, and reports them. Throws BH601. */
export function askMetrics(payloadCgroup: string): void {
  signalInit(payloadCgroup, METRICS_SIGNAL, 0);
}

/** Init reports what it knows by its probes once more. Throws BH601. */
export function askProbes(payloadCgroup: string): void {
  signalInit(payloadCgroup, PROBES_SIGNAL, 0);
}

/**
 * Sends the sandbox's init a signal with a value. The process is held by a pidfd first and looked at then, so that no
 * other one that has its number since is hit. What is not there (yet, or any more) is not told. Throws BH601.
 */
export function signalInit(payloadCgroup: string, signal: number, value: number): void {
  const pid = processesIn(payloadCgroup).find(isInit);
  if (pid === undefined) return;
  let process: number | undefined;
  try {
    process = openProcess(pid);
    if (cgroupOf(pid) === payloadCgroup && isInit(pid)) queueSignal(process, signal, value);
  } catch (error) {
    if (!(error instanceof SystemCallFailure) || error.errnoName !== 'ESRCH') throw error;
  } finally {
    if (process !== undefined) closeSync(process);
  }
}
