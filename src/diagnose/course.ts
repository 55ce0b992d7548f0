import type { SandboxLook } from './look.ts';
import { type LostTime, withLost } from './lost-time.ts';
import type { Suspect } from './suspect.ts';
import { NO_TREND, type Trend } from './trend.ts';

/** What is remembered of a sandbox from look to look. A plain value: `watchOver` makes a new one, nothing else does. */
export interface Course {
  /** The last looks, newest last. */
  readonly looks: readonly SandboxLook[];
  readonly lost: LostTime;
  /** Threads with a request in hand, by slot of the activity page. */
  readonly suspects: ReadonlyMap<number, Suspect>;
  /** The thread of the main loop. */
  readonly loop: Suspect | undefined;
  /** The main thread, where no page says anything. */
  readonly main: Suspect | undefined;
  /** Looks in a row at which the main loop had come round: only a loop that does can be missed. */
  readonly ticks: number;
  /** Requests that were overdue in a thread that waits for others, by what tells one from the next. */
  readonly lostRequests: readonly string[];
  /** Since when it is stopped or frozen. */
  readonly stoppedSince: number | undefined;
  /** Looks in a row with many refused forks. */
  readonly bombLooks: number;
  /** Time slowed down at memory.high with nothing done, or with requests in hand that did not get on all the while. */
  readonly crawlMs: number;
  readonly crawlHeld: readonly string[];
  /** CPU time of the whole payload while a liveness probe failed and nothing was done. */
  readonly probedBusyMs: number;
  readonly trends: { readonly memory: Trend; readonly files: Trend; readonly threads: Trend };
  /** Looks soon after each other since something became suspicious. */
  readonly closeLooks: number;
  /** The verdict that was told, and when, as long as it holds. */
  readonly told: { readonly name: string; readonly at: number } | undefined;
}

export const NEW_COURSE: Course = {
  looks: [],
  lost: [],
  suspects: new Map(),
  loop: undefined,
  main: undefined,
  ticks: 0,
  lostRequests: [],
  stoppedSince: undefined,
  bombLooks: 0,
  crawlMs: 0,
  crawlHeld: [],
  probedBusyMs: 0,
  trends: { memory: NO_TREND, files: NO_TREND, threads: NO_TREND },
  closeLooks: 0,
  told: undefined,
};

/** Looks that are kept: those of one series. */
const LOOKS = 5;
/** The host was too busy to look in time: the look proves nothing, and nobody is to blame for what happened meanwhile. */
export const LATE_MS = 100;
/** Everything stood still for so long: all begins anew. */
const PAUSE_MS = 1000;

/** The course with one more look, before anything is judged. */
export function withLook(before: Course, look: SandboxLook): Course {
  const lost = look.lateMs >= LATE_MS ? withLost(before.lost, look.at - look.lateMs, look.at) : before.lost;
  const looks = [...before.looks, look].slice(-LOOKS);
  if (look.lateMs < PAUSE_MS && look.sleptMs < PAUSE_MS) return { ...before, looks, lost };
  return {
    ...before,
    looks: [look],
    lost,
    suspects: new Map(),
    loop: undefined,
    main: undefined,
    ticks: 0,
    stoppedSince: undefined,
    bombLooks: 0,
    crawlMs: 0,
    crawlHeld: [],
    closeLooks: 0,
  };
}
