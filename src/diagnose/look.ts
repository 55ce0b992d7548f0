import type { ActivityPage } from './activity-page.ts';

/** What /proc says of one thread at one moment. Times are milliseconds since the thread began. */
export interface TaskLook {
  /** Ids on the host, and the thread's as the payload sees it. */
  readonly pid: number;
  readonly tid: number;
  readonly innerTid: number;
  /** The letter of proc_pid_stat(5). */
  readonly state: string;
  readonly userMs: number;
  readonly systemMs: number;
  readonly majorFaults: number;
  /** On a CPU, and waiting for one, as the scheduler counts it. */
  readonly runMs: number;
  readonly waitMs: number;
  /** How often it got a CPU: as long as that stays, it has not done anything. */
  readonly turns: number;
  /** What it is in; read only when something is suspicious. */
  readonly call?: TaskCall | undefined;
  /** Function of the kernel in which it sleeps; `0` for none. */
  readonly wchan?: string | undefined;
  /** What the descriptor is that the call is about: `pipe:[123]`, `/var/lib/plugin/notes`. */
  readonly target?: string | undefined;
}

/** A system call as /proc/PID/syscall tells it. */
export interface TaskCall {
  /** By name where it is one of those that can wait, else `system call N`. */
  readonly name: string;
  readonly kind: CallKind;
  /** Number, arguments, stack and instruction: the same text is the same call. */
  readonly text: string;
  /** The first argument, when it is a descriptor. */
  readonly descriptor: number | undefined;
}

/** `idle`: in it a server waits for work, or for time to pass. `futex`: for ever, for another thread. */
export type CallKind = 'idle' | 'futex' | 'vfork' | 'other';

/** Microseconds in which some or all processes of a cgroup waited for something (PSI). */
export interface Pressure {
  readonly someUs: number;
  readonly fullUs: number;
}

/** What was seen of a sandbox at one moment. What a host cannot tell is undefined. */
export interface SandboxLook {
  /** Milliseconds of CLOCK_MONOTONIC. */
  readonly at: number;
  /** How much later than planned it was looked at: then everything else on the host may have been late, too. */
  readonly lateMs: number;
  /** How long the whole machine slept since the look before. */
  readonly sleptMs: number;
  readonly page: ActivityPage | undefined;
  readonly cpuMs: number | undefined;
  readonly cpuUserMs: number | undefined;
  /** Periods in which it ran into its quota, and times that it was slowed down at memory.high. */
  readonly throttled: number;
  readonly memoryHigh: number;
  readonly forksRefused: number;
  readonly frozen: boolean;
  /** Of the whole unit, page cache included. */
  readonly memoryBytes: number | undefined;
  /** Of the payload's processes that were looked at: what only they have in memory; threads; the most descriptors of one. */
  readonly ownBytes: number;
  readonly processes: number;
  readonly threads: number;
  readonly descriptors: number;
  readonly memoryPressure: Pressure | undefined;
  /** The main thread of the payload's main process; undefined when there is none any more. */
  readonly main: TaskLook | undefined;
  /** The threads that the activity page names, by the id that it gives. */
  readonly named: ReadonlyMap<number, TaskLook>;
  /** One that is named and not among them is not there: all threads were searched. */
  readonly complete: boolean;
}

/** What holds for a sandbox when it is judged. Times in milliseconds. */
export interface Terms {
  readonly heartbeatMs: number;
  readonly requestTimeoutMs: number;
  readonly spinMs: number;
  readonly stoppedMs: number;
  /** It is not ready yet. */
  readonly starting: boolean;
  /** It gets no connections: a standby, or one that was taken out. */
  readonly withoutTraffic: boolean;
  /** A liveness probe of it fails now. */
  readonly livenessFails: boolean;
  readonly memoryBytes: number | 'infinity';
  readonly files: number;
  readonly tasks: number | 'infinity';
}
