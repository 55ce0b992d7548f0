import type { StepKind } from '../declare/recovery.ts';
import type { SlotName } from '../plan/plan.ts';
import type { Verdict } from './verdict.ts';

/** Something failed: what, why that is believed, and what is done about it. */
export interface Incident {
  /** `20261125T213400-hello-17`: wall time, plugin, and a number from its state. Safe as the name of a file. */
  readonly id: string;
  readonly plugin: string;
  readonly version: string | undefined;
  readonly unit: string | undefined;
  readonly generation: number | undefined;
  readonly slot: SlotName;
  /** Wall clock, ms since 1970. */
  readonly at: number;
  readonly verdict: Verdict;
  /** What was decided: "promote plugin-x-a-g7, start g9", "quarantine". */
  readonly action: string;
  /** Which step of the class's chain that is. */
  readonly step: { readonly index: number; readonly of: number; readonly kind: StepKind };
}

/** The name of a plugin's incident: UTC to the second, so that names sort by time. Pure, hence without Date. */
export function incidentId(plugin: string, number: number, at: number): string {
  const seconds = Math.floor(at / 1000);
  const [year, month, day] = civilDate(Math.floor(seconds / 86_400));
  const rest = seconds - Math.floor(seconds / 86_400) * 86_400;
  const [hour, minute, second] = [Math.floor(rest / 3600), Math.floor(rest / 60) % 60, rest % 60];
  const stamp = `${pad(year, 4)}${pad(month, 2)}${pad(day, 2)}T${pad(hour, 2)}${pad(minute, 2)}${pad(second, 2)}`;
  return `${stamp}-${plugin}-${number}`;
}

/** Days since 1970-01-01 to a date of the Gregorian calendar, whose eras of 400 years have 146097 days. */
function civilDate(days: number): readonly [year: number, month: number, day: number] {
  // Counted from 1 March of the year 0, so that a leap day is the last day of its year.
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const leaps = Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leaps) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  return [yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day];
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}
