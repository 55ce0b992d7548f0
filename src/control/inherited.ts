import { closeSync } from 'node:fs';
import { REPORT_PREFIX } from '../sandbox/report-pipes.ts';
import type { SandboxRecord } from '../sandbox/sandbox-record.ts';

/** Descriptors whose names begin with the prefix, by the rest of the name; one each. */
export function byPrefix(inherited: ReadonlyMap<string, readonly number[]>, prefix: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const [name, [fd]] of inherited)
    if (name.startsWith(prefix) && fd !== undefined) found.set(name.slice(prefix.length), fd);
  return found;
}

/** Report pipes that came back from the store and belong to no sandbox any more. */
export function closeStrayReports(
  reports: Map<string, number>,
  records: readonly SandboxRecord[],
  store: { remove(name: string): void },
): void {
  const units = new Set(records.map(({ unit }) => unit));
  for (const [unit, fd] of [...reports]) {
    if (units.has(unit)) continue;
    reports.delete(unit);
    store.remove(`${REPORT_PREFIX}${unit}`);
    closeSync(fd);
  }
}
