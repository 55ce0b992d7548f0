import { readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { Namespaces } from '../audit/facts.ts';
import { NAMESPACES } from '../audit/facts.ts';
import { namespacesOf } from './process-facts.ts';

/** Above the kernel's usual pid_max of small machines; reading so many takes about a second. */
const MOST_PROCESSES = 65_536;
/** The event loop gets its turn after so many. */
const AT_ONCE = 128;

/** The namespaces of all processes of the host, as they were at one look. */
export interface HostProcesses {
  readonly namespaces: ReadonlyMap<number, Namespaces>;
  readonly complete: boolean;
}

export async function hostProcesses(): Promise<HostProcesses> {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const namespaces = new Map<number, Namespaces>();
  for (const [index, name] of pids.slice(0, MOST_PROCESSES).entries()) {
    if (index % AT_ONCE === AT_ONCE - 1) await setImmediate();
    try {
      namespaces.set(Number(name), namespacesOf(Number(name)));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // It ended; a zombie has some links and lacks others.
      if (code !== 'ENOENT' && code !== 'ESRCH' && code !== 'EACCES') throw error;
    }
  }
  return { namespaces, complete: pids.length <= MOST_PROCESSES };
}

/** Processes that have at least one namespace in common with these. */
export function sharing({ namespaces }: HostProcesses, own: Namespaces): number[] {
  return [...namespaces]
    .filter(([, theirs]) => NAMESPACES.some((kind) => theirs[kind] === own[kind]))
    .map(([pid]) => pid);
}
