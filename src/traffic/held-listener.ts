import { closeSync } from 'node:fs';
import type { Listen } from '../declare/declaration.ts';
import { isListening, openProcess, socketAddress, takeDescriptor } from '../kernel/native.ts';
import { isInit, payloadFacts } from '../kernel/payload.ts';
import type { SandboxRecord } from '../sandbox/sandbox-record.ts';

/** Where init has the first one (native/init/options.h). */
const FIRST_LISTENER_FD = 5;

/**
 * A slot's listener that the fd store has lost, as when bulkheadd was stopped where systemd keeps it over a restart only:
 * taken back from the init of a sandbox, which keeps its copies as long as it lives. Undefined: none has it.
 */
export function heldListener(records: readonly SandboxRecord[], key: string, listen: Listen): number | undefined {
  for (const { listeners, payloadCgroup } of records) {
    const index = listeners.indexOf(key);
    const { initPid } = index < 0 ? { initPid: null } : payloadFacts(payloadCgroup);
    const fd = initPid === null ? undefined : taken(initPid, FIRST_LISTENER_FD + index);
    if (fd === undefined) continue;
    if (isAt(fd, listen)) return fd;
    closeSync(fd);
  }
  return undefined;
}

function taken(pid: number, theirs: number): number | undefined {
  let process: number | undefined;
  try {
    process = openProcess(pid);
    // Its number may have been another one's by then.
    return isInit(pid) ? takeDescriptor(process, theirs) : undefined;
  } catch {
    return undefined;
  } finally {
    if (process !== undefined) closeSync(process);
  }
}

function isAt(fd: number, listen: Listen): boolean {
  try {
    if (!isListening(fd)) return false;
    const address = socketAddress(fd);
    if (address.family === 'unix' || listen.kind === 'unix') return address.family === listen.kind;
    return address.host === listen.host && address.port === listen.port;
  } catch {
    return false;
  }
}
