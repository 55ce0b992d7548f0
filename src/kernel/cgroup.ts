import { readFileSync, writeFile, writeFileSync } from 'node:fs';

/** Where cgroup v2 is mounted on a host that runs systemd with the unified hierarchy. */
export const CGROUP_ROOT = '/sys/fs/cgroup';

/** The `populated` line of cgroup.events: whether any process lives in the group or below; false when it is gone. */
export function isPopulated(cgroup: string): boolean {
  const text = read(`${CGROUP_ROOT}${cgroup}/cgroup.events`);
  return text !== undefined && /^populated 1$/m.test(text);
}

/** Pids in the group itself (not below), empty when it is gone. */
export function processesIn(cgroup: string): number[] {
  const text = read(`${CGROUP_ROOT}${cgroup}/cgroup.procs`);
  return text === undefined
    ? []
    : text
        .split('\n')
        .filter((line) => line !== '')
        .map(Number);
}

/** A single number such as memory.current or pids.current; null when the controller or the group is not there. */
export function cgroupNumber(cgroup: string, file: string): number | null {
  const text = read(`${CGROUP_ROOT}${cgroup}/${file}`)?.trim();
  return text === undefined || !/^\d+$/.test(text) ? null : Number(text);
}

/** Kills every process in the group and below at once (cgroup.kill, kernel 5.14). */
export function killCgroup(cgroup: string): void {
  try {
    writeFileSync(`${CGROUP_ROOT}${cgroup}/cgroup.kill`, '1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Gone already, or going: that is what was wanted.
    if (code !== 'ENOENT' && code !== 'ENODEV') throw error;
  }
}

/**
 * Stops every process in the group and below where it is (cgroup.freeze); only the end of the group, or somebody who
 * writes 0, changes that. What is frozen can be killed.
 */
export function freezeCgroup(cgroup: string): void {
  writeFileSync(`${CGROUP_ROOT}${cgroup}/cgroup.freeze`, '1');
}

/** Whether somebody has asked for the group to be frozen; false when it is gone. */
export function isFrozen(cgroup: string): boolean {
  return read(`${CGROUP_ROOT}${cgroup}/cgroup.freeze`)?.trim() === '1';
}

/**
 * Makes the next move of a process into another cgroup quick. The first one has to wait for a grace period of RCU, about
 * ten milliseconds, because the kernel's lock for it is made to be cheap for forks; the next ones soon after need not
 * (percpu-rwsem, rcu_sync). So this process is moved to where it is, beside whatever else is done. Nothing but time
 * depends on it.
 */
export function hastenMoves(): void {
  const own = readProc('self', 'cgroup')?.match(/^0::(.*)$/m)?.[1];
  if (own !== undefined) writeFile(`${CGROUP_ROOT}${own}/cgroup.procs`, '0', () => {});
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENODEV') return undefined;
    throw error;
  }
}

/**
 * The unit of the system manager that a process belongs to: the topmost of its cgroup path. What lies below is that
 * unit's own business, be it nspawn's groups or a user's manager with units of any name.
 */
export function unitOfProcess(pid: number): string | undefined {
  return cgroupOf(pid)
    ?.split('/')
    .find((element) => /\.(service|scope|socket)$/.test(element));
}

/** The process's group, as a path from the root of cgroup v2 on; undefined when it is gone. */
export function cgroupOf(pid: number): string | undefined {
  return readProc(pid, 'cgroup')
    ?.split('\n')
    .find((line) => line.startsWith('0::'))
    ?.slice(3);
}

/** A small file of /proc/PID; undefined when the process is gone. */
export function readProc(pid: number | 'self', file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    // ENOENT and ESRCH: the process ended between being named and being looked at.
    return undefined;
  }
}
