import { uptime } from 'node:os';
import type { Clock } from '../base/clock.ts';
import { owned } from '../base/owner.ts';

/** setTimeout() runs at once for anything longer, 2^31-1 ms (24.8 days). */
const LONGEST_TIMER_MS = 0x7fff_ffff;

/**
 * The machine's clock: CLOCK_MONOTONIC, which does not jump with the wall clock and stands still while the
 * machine is suspended. Timers keep the process alive until they ran or were released; one longer than 24.8
 * days rings after 24.8 days.
 */
export const systemClock: Clock = {
  now: () => Number(process.hrtime.bigint()) / 1e6,
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(Math.max(0, delayMs), LONGEST_TIMER_MS));
    return owned(() => clearTimeout(timer));
  },
};

/** Milliseconds of CLOCK_BOOTTIME, which goes on while the machine is suspended; exact to a hundredth of a second. */
export function bootTime(): number {
  return 1000 * uptime();
}
