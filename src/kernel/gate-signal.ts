import type { Gate } from '../plan/plan.ts';
import { signalInit } from './init-signal.ts';

/** What init takes for a change of its gate, SIGRTMIN + 1, and what it takes its value for; native/init/supervise.c. */
const GATE_SIGNAL = 35;
const GATE_VALUES: Readonly<Record<Gate, number>> = { open: 0, held: 1, shut: 2 };

/** Tells the sandbox's init how its gate is to stand; init answers in its report. Throws BH601. */
export function signalGate(payloadCgroup: string, gate: Gate): void {
  signalInit(payloadCgroup, GATE_SIGNAL, GATE_VALUES[gate]);
}
