import type { RiskyWindow } from './recovery.ts';

/** A time as the clock on the wall shows it. */
export interface WallTime {
  /** 0 is Sunday. */
  readonly day: number;
  /** Since midnight. */
  readonly minute: number;
}

/** Whether risky steps may be taken at this time. Without a window no step is risky, so there is nothing to forbid. */
export function isRiskyAllowed(window: RiskyWindow | undefined, { day, minute }: WallTime): boolean {
  if (window === undefined) return true;
  const { days, fromMinute, toMinute } = window;
  if (fromMinute < toMinute) return days.includes(day) && minute >= fromMinute && minute < toMinute;
  // Over midnight: what began yesterday belongs to yesterday.
  return (days.includes(day) && minute >= fromMinute) || (days.includes((day + 6) % 7) && minute < toMinute);
}
