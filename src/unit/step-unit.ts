import { busProperties } from './properties.ts';
import type { TransientUnit } from './transient-unit.ts';

/** How long a step may take; it is a few system calls, or a question to a TPM. */
const STEP_TIMEOUT_MS = 30_000;

/**
 * A command that systemd runs once, with the privileges that the supervisor does not have. What it prints is an error,
 * and the reason that people are told.
 */
export function stepUnit(name: string, description: string, command: readonly string[]): TransientUnit {
  return {
    name,
    properties: busProperties({
      description,
      collectMode: 'inactive-or-failed',
      type: 'oneshot',
      execStart: command,
      startTimeout: STEP_TIMEOUT_MS,
      standardInput: 'null',
      standardOutput: 'journal',
      standardError: 'journal',
      syslogLevel: 'err',
    }),
  };
}
