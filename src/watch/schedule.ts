import { createTask } from 'node-cron';
import type { Owned } from '../base/clock.ts';
import { owned } from '../base/owner.ts';
import { plainCron } from '../declare/cron.ts';

const silent = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} };

/**
 * Calls at the times that an expression names, by the clock of the host and in its time zone. A time that passed while
 * the machine slept or nobody looked is not made up for. `run` has to handle its own errors.
 */
export function atTimes(cron: string, run: () => void): Owned {
  const task = createTask(plainCron(cron), run, { logger: silent, suppressMissedWarning: true });
  void task.start();
  return owned(() => void task.destroy());
}
