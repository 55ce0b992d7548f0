import { readFileSync } from 'node:fs';

/** Time (ms) of all processors of the host together since it began; only differences mean something. */
export interface ProcessorTimes {
  /** Spent on anything, also by the machine around this one (steal). */
  readonly busyMs: number;
  readonly ofMs: number;
}

/** proc_stat(5) counts in hundredths of a second, on all architectures that there are packages for. */
const TICK_MS = 10;

/** Undefined when the kernel does not tell. */
export function processorTimes(): ProcessorTimes | undefined {
  try {
    return parseProcessorTimes(readFileSync('/proc/stat', 'latin1'));
  } catch {
    return undefined; // No such file: then nothing is known of others.
  }
}

/** The first line is the sum of all processors: user, nice, system, idle, iowait, irq, softirq, steal. */
export function parseProcessorTimes(text: string): ProcessorTimes | undefined {
  const words = /^cpu +(\d+(?: \d+){7})/.exec(text)?.[1];
  if (words === undefined) return undefined;
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = words
    .split(' ')
    .map((word) => Number(word) * TICK_MS);
  const busyMs = user + nice + system + irq + softirq + steal;
  return { busyMs, ofMs: busyMs + idle + iowait };
}
