import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { TasksSeen } from '../kernel/task-evidence.ts';
import type { FlightEvidence } from './evidence-gatherer.ts';
import type { IncidentBundle } from './incident-bundle.ts';

/** What a bundle holds beside the incident itself; null for what is not in it. */
export interface ReadEvidence {
  readonly tasks: TasksSeen | null;
  readonly descriptors: readonly string[] | null;
  readonly cgroup: Readonly<Record<string, string>> | null;
  readonly flight: FlightEvidence | null;
  readonly journal: readonly string[] | null;
}

/** Files of a bundle are far smaller; of a larger one the rest is left. */
const MOST_BYTES = 512 * 1024;

/** The files are our own, written by this version or another one. */
export function readEvidence(bundle: IncidentBundle): ReadEvidence {
  return {
    tasks: json<TasksSeen>(bundle, 'tasks.json', ({ tasks }) => Array.isArray(tasks)),
    descriptors: lines(bundle, 'descriptors.txt'),
    cgroup: json<Record<string, string>>(bundle, 'cgroup.json', (value) => typeof value === 'object'),
    flight: json<FlightEvidence>(bundle, 'flight.json', ({ inFlight, records }) =>
      [inFlight, records].every(Array.isArray),
    ),
    journal: lines(bundle, 'journal.txt'),
  };
}

function json<T>(bundle: IncidentBundle, file: string, isOne: (value: T) => boolean): T | null {
  const text = textOf(bundle.path(file));
  if (text === undefined) return null;
  try {
    const value = JSON.parse(text) as T;
    return isOne(value) ? value : null;
  } catch {
    // Half of it was written when the supervisor was killed.
    return null;
  }
}

function lines(bundle: IncidentBundle, file: string): readonly string[] | null {
  return (
    textOf(bundle.path(file))
      ?.split('\n')
      .filter((line) => line !== '') ?? null
  );
}

function textOf(path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch {
    return undefined;
  }
  try {
    const bytes = Buffer.alloc(MOST_BYTES);
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, MOST_BYTES, 0));
  } finally {
    closeSync(fd);
  }
}
