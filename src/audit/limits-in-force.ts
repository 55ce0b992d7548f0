import type { PlannedLimits } from '../plan/plan.ts';
import type { BusProperty } from '../unit/properties.ts';
import { diskRows, type LimitRow, limitRows } from './limit-rows.ts';

/** One limit of a unit or slice: what the declaration comes to, what systemd was asked for last, and what holds. */
export interface LimitInForce {
  /** Key below `limits`, or `io PATH KIND`. */
  readonly limit: string;
  /** Bytes, tasks, microseconds of CPU in a second, weights, bytes or operations in a second. */
  readonly declared: number | 'infinity';
  /** What systemd was asked for last, whoever asked; null when it does not know. */
  readonly asked: number | 'infinity' | null;
  /** What the kernel says; null when nothing enforces it here. */
  readonly inForce: number | 'infinity' | null;
  /** Who asked: `declaration`, or the unit that somebody changed by `systemctl set-property` or `systemctl edit`. */
  readonly from: string;
}

/** What is known of one unit or slice. */
export interface LimitedUnit {
  readonly unit: string;
  readonly limits: PlannedLimits;
  /** What an administrator set for the whole plugin, and where. */
  readonly administrator: { readonly unit: string; readonly limits: readonly BusProperty[] };
  readonly properties: Readonly<Record<string, unknown>>;
  readonly files: Readonly<Record<string, string | null>>;
  readonly disks: ReadonlyMap<string, string | undefined>;
}

export function limitsInForce(seen: LimitedUnit): LimitInForce[] {
  return [...limitRows(seen.limits), ...diskRows(seen.limits, seen.disks)].map((row) => {
    const asked = askedOf(row, seen.properties);
    const text = seen.files[row.file] ?? null;
    return {
      limit: row.name,
      declared: row.asked,
      asked,
      inForce: text === null ? null : (row.parse(text) ?? null),
      from: whose(row, asked, seen),
    };
  });
}

function askedOf({ property, path }: LimitRow, properties: LimitedUnit['properties']): number | 'infinity' | null {
  const value = properties[property];
  if (path === undefined) return amount(value);
  const rates = Array.isArray(value) ? (value as readonly unknown[]) : [];
  const rate = rates.find((each) => Array.isArray(each) && each[0] === path) as readonly unknown[] | undefined;
  return rate === undefined ? 'infinity' : amount(rate[1]);
}

function amount(value: unknown): number | 'infinity' | null {
  return typeof value === 'number' || value === 'infinity' ? value : null;
}

function whose({ asked: declared, property }: LimitRow, asked: LimitInForce['asked'], seen: LimitedUnit): string {
  const { administrator } = seen;
  if (administrator.limits.some(([name, , value]) => name === property && value === asked)) return administrator.unit;
  return asked === declared || asked === null ? 'declaration' : seen.unit;
}
