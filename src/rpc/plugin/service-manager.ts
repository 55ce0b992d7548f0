import { sendDatagram } from './addon.ts';

/** A timer of Node.js takes no more. */
const MOST_TIMER_MS = 2 ** 31 - 1;

/**
 * Tells bulkhead that the plugin is ready, or about to stop: sd_notify(3). Without $NOTIFY_SOCKET nobody wants to know.
 * @throws Error when it cannot be told: a plugin whose readiness nobody hears of would be ended for it.
 */
export function tellManager(state: 'READY=1' | 'STOPPING=1', environment: NodeJS.ProcessEnv): void {
  try {
    tell(state, environment);
  } catch (error) {
    throw new Error(`bulkhead cannot be told ${state}: ${error instanceof Error ? error.message : error}`);
  }
}

/**
 * How often it is to be told that the loop still turns, in milliseconds: twice in the time of $WATCHDOG_USEC (sd_watchdog_enabled(3));
 * undefined when nobody wants to know.
 */
export function watchdogMs(environment: NodeJS.ProcessEnv): number | undefined {
  const { WATCHDOG_USEC: time, WATCHDOG_PID: pid } = environment;
  if (time === undefined || !/^[1-9][0-9]{0,14}$/.test(time)) return undefined;
  if (pid !== undefined && pid !== String(process.pid)) return undefined;
  return Math.min(MOST_TIMER_MS, Math.max(1, Math.floor(Number(time) / 2000)));
}

/** One that does not come through is followed by the next. */
export function tellAlive(environment: NodeJS.ProcessEnv): void {
  try {
    tell('WATCHDOG=1', environment);
  } catch {
    // Its absence is what bulkhead looks for.
  }
}

function tell(state: string, environment: NodeJS.ProcessEnv): void {
  const socket = environment.NOTIFY_SOCKET;
  if (socket !== undefined && socket !== '') sendDatagram(socket, `${state}\n`);
}
