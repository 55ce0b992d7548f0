import { busProperties } from './properties.ts';
import type { TransientUnit } from './transient-unit.ts';

/** nobody: it needs no more than the sockets that it is handed. */
const UID = 65534;
/** Connections at the same time; the others go on waiting. */
const CONNECTIONS = 1024;
const START_TIMEOUT_MS = 10_000;
/** With its plugin all that it is connected to ends. */
const STOP_TIMEOUT_MS = 1_000;
/** What kept bytes of all connections take, and as much again. */
const MEMORY = 128 << 20;
const TASKS = 4;

/**
 * Answers those who wait at the sockets of a slot that is not served any more (`native/stragglers`). A unit of its own, so
 * that the connections live on when the supervisor does not.
 */
export function stragglersUnit(name: string, about: string, lib: string): TransientUnit {
  const program = [`${lib}/plugin-stragglers`, `--uid=${UID}`, `--connections=${CONNECTIONS}`];
  return {
    name,
    properties: busProperties({
      description: `Connections that ${about} left behind`,
      collectMode: 'inactive-or-failed',
      type: 'simple',
      execStart: [`${lib}/plugin-launch`, name, '--', ...program],
      startTimeout: START_TIMEOUT_MS,
      stopTimeout: STOP_TIMEOUT_MS,
      capabilities: ['CAP_SETGID', 'CAP_SETUID', 'CAP_SETPCAP'],
      noNewPrivileges: true,
      umask: 0o077,
      standardInput: 'null',
      standardOutput: 'journal',
      standardError: 'journal',
      oomPolicy: 'kill',
      memoryMax: MEMORY,
      tasksMax: TASKS,
    }),
  };
}
