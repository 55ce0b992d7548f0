import { closeSync } from 'node:fs';
import type { Gate } from '../plan/plan.ts';
import { cgroupOf, processesIn } from './cgroup.ts';
import { openProcess, queueSignal, SystemCallFailure } from './native.ts';
import { isInit } from './payload.ts';

/** What init takes for a change of its gate, SIGRTMIN + 1, and what it takes its value for; native/init/supervise.c. */
const GATE_SIGNAL = 35;
const GATE_VALUES: Readonly<Record<Gate, number>> = { open: 0, held: 1, shut: 2 };

/**
 * Tells the sandbox's init how its gate is to stand; init answers in its report. The process is held by a pidfd first and
 * looked at then, so that no other one that has its number since is hit. What is not there (yet, or any more) is not told.
 * Throws BH601.
 */
export function signalGate(payloadCgroup: string, gate: Gate): void {
  const pid = processesIn(payloadCgroup).find(isInit);
  if (pid === undefined) return;
  let process: number | undefined;
  try {
    process = openProcess(pid);
    if (cgroupOf(pid) === payloadCgroup && isInit(pid)) queueSignal(process, GATE_SIGNAL, GATE_VALUES[gate]);
  } catch (error) {
    if (!(error instanceof SystemCallFailure) || error.errnoName !== 'ESRCH') throw error;
  } finally {
    if (process !== undefined) closeSync(process);
  }
}
