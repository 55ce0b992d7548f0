import type { Pressure } from './look.ts';

/** What of /proc/PID/stat is looked at. */
export interface TaskStat {
  readonly state: string;
  readonly parent: number;
  readonly majorFaults: number;
  readonly userMs: number;
  readonly systemMs: number;
  readonly threads: number;
}

/** USER_HZ, which is 100 on all machines that run this. */
const TICK_MS = 10;

/** Fields behind the name that are looked at. */
const LAST_FIELD = 18;

/** proc_pid_stat(5). The name is the payload's own choice, and may have parentheses and spaces of its own. */
export function parseStat(text: string): TaskStat | undefined {
  const end = text.lastIndexOf(')');
  const words = text.slice(end + 2).split(' ', LAST_FIELD);
  const [state = '', parent, , , , , , , , majorFaults, , user, system, , , , , threads] = words;
  const numbers = [parent, majorFaults, user, system, threads].map(Number);
  if (end < 0 || !/^[A-Za-z]$/.test(state) || numbers.some((number) => !Number.isFinite(number))) return undefined;
  return {
    state,
    parent: Number(parent),
    majorFaults: Number(majorFaults),
    userMs: Number(user) * TICK_MS,
    systemMs: Number(system) * TICK_MS,
    threads: Number(threads),
  };
}

/** /proc/PID/schedstat: time on a CPU, time of waiting for one, and how often it got one. */
export function parseSchedstat(text: string): { runMs: number; waitMs: number; turns: number } | undefined {
  const [run, wait, turns] = text.trim().split(' ').map(Number);
  if (run === undefined || wait === undefined || turns === undefined) return undefined;
  return [run, wait, turns].every(Number.isFinite) ? { runMs: run / 1e6, waitMs: wait / 1e6, turns } : undefined;
}

/** The number of a line `NAME NUMBER`, as cgroups have them; undefined when there is none of that name. */
export function fieldOf(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  const at = text.startsWith(`${name} `) ? 0 : text.indexOf(`\n${name} `) + 1;
  if (at === 0 && !text.startsWith(`${name} `)) return undefined;
  const end = text.indexOf('\n', at);
  const value = Number(text.slice(at + name.length + 1, end < 0 ? undefined : end));
  return Number.isFinite(value) ? value : undefined;
}

/** A pressure file of a cgroup (PSI); without a line `full` in cpu.pressure of older kernels that is 0. */
export function parsePressure(text: string): Pressure | undefined {
  const some = /^some .*total=(\d+)$/m.exec(text)?.[1];
  const full = /^full .*total=(\d+)$/m.exec(text)?.[1];
  return some === undefined ? undefined : { someUs: Number(some), fullUs: Number(full ?? 0) };
}

/** The id in the innermost namespace, from a status file; undefined when it is not there. */
export function innerId(status: string): number | undefined {
  const id = /^NSpid:.*?(\d+)$/m.exec(status)?.[1];
  return id === undefined ? undefined : Number(id);
}
