import type { PluginState } from './plugin-state.ts';

/** How far back failures count against a seat (ms). */
export const SCORE_WINDOW_MS = 60_000;
/** Below this a sandbox gets no connections, if another one can have them. */
export const GOOD_SCORE = 60;

/** Health of a seat of the pool: 100 with at most one failure in the last minute, 30 less for each further one. */
export function scoreOf({ crashes }: Pick<PluginState, 'crashes'>, seat: number, now: number): number {
  const recent = crashes.filter((crash) => crash.seat === seat && now - crash.at < SCORE_WINDOW_MS).length;
  return Math.max(0, 100 - 30 * Math.max(0, recent - 1));
}

/** The failures that still count. */
export function recentCrashes(crashes: PluginState['crashes'], now: number): PluginState['crashes'] {
  return crashes.filter(({ at }) => now - at < SCORE_WINDOW_MS);
}
