import type { FailureCode } from '../base/failure.ts';

/** What the exit status of bulkheadctl means; help and man page print this table. 3 and 4 are systemctl's own (LSB). */
export const EXIT_STATUS = [
  {
    status: 0,
    meaning:
      'success; for status: the plugin is running or degraded; for audit: all walls hold; for upgrade: the new version is live',
  },
  { status: 1, meaning: 'the request failed, a check or a wall does not hold, or a declaration has problems' },
  { status: 2, meaning: 'wrong usage: unknown verb or option, missing or malformed argument' },
  { status: 3, meaning: 'status, audit: the plugin is not running (stopped, starting, stopping, failed or invalid)' },
  { status: 4, meaning: 'no such plugin' },
  { status: 5, meaning: 'not authorised' },
  { status: 6, meaning: 'upgrade, rollback: it was undone, what served before serves on' },
  { status: 7, meaning: 'upgrade, rollback: refused, nothing was started' },
  { status: 8, meaning: 'upgrade, rollback: bulkheadctl was ended before it was over; it goes on' },
  { status: 69, meaning: 'the supervisor does not answer' },
] as const;

export type ExitStatus = (typeof EXIT_STATUS)[number]['status'];

/** Failures that have an exit status of their own; every other one ends in 1. */
const BY_CODE: Partial<Record<FailureCode, ExitStatus>> = {
  BH401: 2,
  BH109: 2,
  BH108: 4,
  BH404: 4,
  BH403: 5,
  BH201: 7,
  BH425: 7,
  BH426: 7,
  BH427: 7,
  BH428: 7,
  BH430: 7,
  BH431: 7,
  BH402: 69,
};

export function exitStatusOf(code: FailureCode): ExitStatus {
  return BY_CODE[code] ?? 1;
}
