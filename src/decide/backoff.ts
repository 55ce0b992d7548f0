/** How long to wait before the next start, and when to give up. Pure; times are monotonic milliseconds. */
export interface BackoffSettings {
  readonly initialMs: number;
  readonly maxMs: number;
  readonly factor: number;
  /** Share, 0 to 1. */
  readonly jitter: number;
}

/**
 * Delay before the restart after the `deaths`-th death in a row (1 or more) without sustained health in between.
 * The first restart is immediate: one crash after days of service shall not cost capacity for longer than a start
 * takes. From the second on: initial, initial x factor, ... up to max, each spread by +-jitter so that plugins that
 * died together do not come back together.
 *
 * @param random a number from 0 up to 1.
 */
export function backoffDelay(settings: BackoffSettings, deaths: number, random: number): number {
  if (deaths <= 1) return 0;
  const plain = Math.min(settings.maxMs, settings.initialMs * settings.factor ** (deaths - 2));
  return Math.round(plain * (1 + settings.jitter * (2 * random - 1)));
}

/** The deaths that still count, oldest first. */
export function recentDeaths(deaths: readonly number[], now: number, withinMs: number): readonly number[] {
  return deaths.filter((at) => now - at < withinMs);
}
