import { escapeUnitName } from '../plan/unit-name.ts';
import { busProperties } from './properties.ts';
import type { TransientUnit } from './transient-unit.ts';

/** Files of several versions, on a slow disk. */
const LIMIT_MS = 10 * 60_000;

/** A unit that removes what `versions.keep` does not keep, which the supervisor could not write to. */
export function oldVersionsUnit(plugin: string): TransientUnit {
  return {
    name: `bulkhead-old-versions-${escapeUnitName(plugin)}.service`,
    properties: busProperties({
      description: `Removal of old versions of ${plugin}`,
      collectMode: 'inactive-or-failed',
      type: 'oneshot',
      execStart: ['/usr/bin/bulkheadctl', 'remove', plugin, '--old'],
      startTimeout: LIMIT_MS,
      standardInput: 'null',
      standardOutput: 'null',
      standardError: 'journal',
      syslogLevel: 'err',
    }),
  };
}
