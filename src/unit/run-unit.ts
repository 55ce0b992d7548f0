import { digestText } from '../plan/digest.ts';
import { busProperties } from './properties.ts';
import type { TransientUnit } from './transient-unit.ts';

/** A command that is run about an incident. */
export interface IncidentCommand {
  readonly incident: string;
  readonly words: readonly string[];
  readonly timeoutMs: number;
  readonly environment: Readonly<Record<string, string>>;
}

/** What a command that an administrator declared for a failure may use; bytes, tasks, descriptors. */
const LIMITS = { memoryMax: 256 << 20, tasksMax: 64, files: 1024 } as const;

/** After the time limit: SIGTERM, and SIGKILL so long after it. */
const STOP_MS = 5000;

/** `bulkhead-run-ID-DIGEST.service`: an incident can have several commands, each is run once. */
export function runUnitName({ incident, words }: IncidentCommand): string {
  return `bulkhead-run-${incident}-${digestText(words.join('\0')).slice(0, 8)}.service`;
}

/**
 * The unit in which systemd runs the command once. It is the host's own program, as root, with small limits; its unit
 * stays, however it ends, until it was asked how.
 */
export function runUnit(command: IncidentCommand): TransientUnit {
  const { incident, words, timeoutMs, environment } = command;
  return {
    name: runUnitName(command),
    properties: busProperties({
      description: `Command of a plugin's recovery, incident ${incident}`,
      type: 'oneshot',
      remainAfterExit: true,
      execStart: words,
      environment: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
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
