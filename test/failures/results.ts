import { mkdirSync, writeFileSync } from 'node:fs';
import type { Isolation } from '../../src/declare/declaration.ts';
import type { Measured } from './row.ts';

/** Where suites leave what they measured. */
const DIRECTORY = '/tmp/bulkhead-failures';

/** Times (ms) that are of no row. */
export interface Figure {
  readonly figure: string;
  readonly isolation: Isolation;
  readonly times: readonly number[];
}

export function saveResults(suite: string, results: readonly (Measured | Figure)[]): void {
  mkdirSync(DIRECTORY, { recursive: true });
  writeFileSync(`${DIRECTORY}/${suite}.json`, `${JSON.stringify(results)}\n`);
}
