import { readFileSync } from 'node:fs';
import { Failure } from '../base/failure.ts';

/** Bytes that programs could take now without swapping (MemAvailable of proc_meminfo(5)). @throws Failure BH203 */
export function memoryAvailable(): number {
  const match = /^MemAvailable:\s*(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'));
  if (match === null) throw new Failure('BH203', "'/proc/meminfo' does not say what is available");
  return Number(match[1]) * 1024;
}
