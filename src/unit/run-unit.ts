import { digestText } from '../plan/digest.ts';
import { busProperties } from './properties.ts';
import type { TransientUnit } from './transient-unit.ts';

/** A command that is run about an incident, or before a change of version. */
export type HostCommand = CommandAbout & {
  readonly words: readonly string[];
  readonly timeoutMs: number;
  readonly environment: Readonly<Record<string, string>>;
};

type CommandAbout = { readonly incident: string } | { readonly upgrade: string };

/** What a command that an administrator declared for a failure may use; bytes, tasks, descriptors. */
const LIMITS = { memoryMax: 256 << 20, tasksMax: 64, files: 1024 } as const;

/** After the time limit: SIGTERM, and SIGKILL so long after it. */
const STOP_MS = 5000;

/** `bulkhead-run-ID-DIGEST.service`: an incident can have several commands, each is run once. */
export function runUnitName(command: HostCommand): string {
  return `bulkhead-run-${idOf(command)}-${digestText(command.words.join('\0')).slice(0, 8)}.service`;
}

function idOf(about: CommandAbout): string {
  return 'incident' in about ? about.incident : about.upgrade;
}

/**
 * The unit in which systemd runs the command once. It is the host's own program, as root, with small limits; its unit
 * stays, however it ends, until it was asked how.
 */
export function runUnit(command: HostCommand): TransientUnit {
  const { words, timeoutMs, environment } = command;
  const isIncident = 'incident' in command;
  return {
    name: runUnitName(command),
    properties: busProperties({
      description: isIncident
        ? `Command of a plugin's recovery, incident ${command.incident}`
        : `Check before a plugin's change of version, ${command.upgrade}`,
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
      logExtraFields: [`${isIncident ? 'BULKHEAD_INCIDENT' : 'BULKHEAD_UPGRADE'}=${idOf(command)}`],
      oomPolicy: 'kill',
      ...LIMITS,
    }),
  };
}
