import type { Command } from './encoding.ts';
import { busProperties } from './properties.ts';
import type { TransientUnit } from './transient-unit.ts';

/** What a command that an administrator declared for a failure may use; bytes, tasks, descriptors. */
const LIMITS = { memoryMax: 256 << 20, tasksMax: 64, files: 1024 } as const;

/** After the time limit: SIGTERM, and SIGKILL so long after it. */
const STOP_MS = 5000;

/** `bulkhead-run-ID.service`. */
export function runUnitName(incident: string): string {
  return `bulkhead-run-${incident}.service`;
}

/**
 * A command that systemd runs once about an incident. It is the host's own program, as root, with small limits; its unit
 * stays, however it ends, until it was asked how.
 */
export function runUnit(
  incident: string,
  command: Command,
  environment: readonly string[],
  timeoutMs: number,
): TransientUnit {
  return {
    name: runUnitName(incident),
    properties: busProperties({
      description: `Command of a plugin's recovery, incident ${incident}`,
      type: 'oneshot',
      remainAfterExit: true,
      execStart: command,
      environment,
      startTimeout: timeoutMs,
      stopTimeout: STOP_MS,
      noNewPrivileges: true,
      umask: 0o077,
      standardInput: 'null',
      standardOutput: 'journal',
      standardError: 'journal',
      logExtraFields: [`BULKHEAD_INCIDENT=${incident}`],
      oomPolicy: 'kill',
      ...LIMITS,
    }),
  };
}
