/**
 * Durations as systemd.time(7) writes them, limited to what a declaration needs: one or more of
 * `500ms`, `30s`, `5min`, `2h`, `1d` in a row ("1min 30s"). A bare number is seconds, as in unit files.
 */
const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  sec: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** The longest duration that is accepted, 365 days, in milliseconds. */
export const LONGEST_MS = 365 * 86_400_000;

/** Milliseconds (0 to LONGEST_MS), or undefined when the text is not a duration. */
export function parseDuration(text: string): number | undefined {
  const whole = text.trim();
  if (/^\d+(\.\d+)?$/.test(whole)) return bounded(Number(whole) * 1000);
  if (!/^(\d+(\.\d+)?\s*[a-z]+\s*)+$/.test(whole)) return undefined;
  let sum = 0;
  for (const [, digits, unit] of whole.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)/g)) {
    const factor = unit === undefined ? undefined : UNITS[unit];
    if (factor === undefined) return undefined;
    sum += Number(digits) * factor;
  }
  return bounded(sum);
}

function bounded(ms: number): number | undefined {
  const whole = Math.round(ms);
  return Number.isFinite(whole) && whole >= 0 && whole <= LONGEST_MS ? whole : undefined;
}

/** The shortest exact form: `1500` -> `1.5s`, `90000` -> `1min 30s`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(3))}s`;
  const parts: string[] = [];
  let rest = Math.round(ms / 1000);
  for (const [unit, seconds] of [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
    ['s', 1],
  ] as const) {
    const count = Math.floor(rest / seconds);
    if (count > 0) parts.push(`${count}${unit}`);
    rest -= count * seconds;
  }
  return parts.join(' ');
}
