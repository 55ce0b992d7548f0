import { processesIn, readProc } from './cgroup.ts';

/** What /proc says about a sandbox's processes, seen from the host. */
export interface PayloadFacts {
  readonly initPid: number | null;
  /** Main process of the payload: the oldest child of init. */
  readonly payloadPid: number | null;
  /** Of the payload, from /proc/PID/status: 2 is a filter. */
  readonly seccompMode: number | null;
  readonly seccompFilters: number | null;
}

const NOTHING: PayloadFacts = { initPid: null, payloadPid: null, seccompMode: null, seccompFilters: null };

/** Looks into the sandbox's payload group; all null when it is empty or there is none. */
export function payloadFacts(payloadCgroup: string | undefined): PayloadFacts {
  if (payloadCgroup === undefined) return NOTHING;
  const processes = processesIn(payloadCgroup)
    .map(statusOf)
    .filter((process) => process !== undefined);
  const init = processes.find(({ innerPid }) => innerPid === 1);
  if (init === undefined) return NOTHING;
  const children = processes
    .filter(({ parent }) => parent === init.pid)
    .sort((one, other) => one.innerPid - other.innerPid);
  const main = children[0];
  return {
    initPid: init.pid,
    payloadPid: main?.pid ?? null,
    seccompMode: main?.seccomp ?? null,
    seccompFilters: main?.filters ?? null,
  };
}

/** How init calls itself (PR_SET_NAME); undefined when there is none in the group. */
export function initName(payloadCgroup: string): string | undefined {
  const init = processesIn(payloadCgroup).find(isInit);
  return init === undefined ? undefined : readProc(init, 'comm')?.trimEnd();
}

/** Whether it is PID 1 of the innermost of its pid namespaces: of the processes of a sandbox, its init alone is. */
export function isInit(pid: number): boolean {
  return statusOf(pid)?.innerPid === 1;
}

interface ProcessStatus {
  readonly pid: number;
  readonly parent: number;
  /** Pid inside the innermost pid namespace. */
  readonly innerPid: number;
  readonly seccomp: number | null;
  readonly filters: number | null;
}

function statusOf(pid: number): ProcessStatus | undefined {
  const text = readProc(pid, 'status');
  if (text === undefined) return undefined;
  const number = (field: string): number | null => {
    const last = new RegExp(`^${field}:.*?(\\d+)$`, 'm').exec(text)?.[1];
    return last === undefined ? null : Number(last);
  };
  return {
    pid,
    parent: number('PPid') ?? 0,
    innerPid: number('NSpid') ?? pid,
    seccomp: number('Seccomp'),
    filters: number('Seccomp_filters'),
  };
}
