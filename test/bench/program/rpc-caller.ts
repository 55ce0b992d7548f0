/** One who calls: a process of its own, so that no way to call is compiled for another. Told what to measure line by line. */
import { createInterface } from 'node:readline';
import { CALLERS } from './rpc-callers.ts';
import type { Payload } from './rpc-payloads.ts';

/** What it is asked. */
export interface Ask {
  readonly payload: Payload;
  /** Calls under way at a time. */
  readonly window: number;
  readonly ms: number;
}

/** What it answers; quantiles are of one call at a time, and 0 otherwise. */
export interface Told {
  readonly count: number;
  readonly seconds: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** CPU time of this process. */
  readonly cpuUs: number;
}

const [, , how = '', path = ''] = process.argv;
const make = CALLERS[how];
if (make === undefined) throw new Error(`'${how}' is no way to call`);
const caller = await make(path);

for await (const line of createInterface({ input: process.stdin })) {
  const { payload, window, ms } = JSON.parse(line) as Ask;
  const call = caller.call(payload);
  const latencies: number[] = [];
  let count = 0;
  const began = performance.now();
  const until = began + ms;
  const used = process.cpuUsage();
  const work = async (): Promise<void> => {
    while (performance.now() < until) {
      await call();
      count += 1;
    }
  };
  const alone = async (): Promise<void> => {
    for (let at = performance.now(); at < until; ) {
      await call();
      const now = performance.now();
      latencies.push(now - at);
      at = now;
    }
    count = latencies.length;
  };
  await (window === 1 ? alone() : Promise.all(Array.from({ length: window }, work)));
  const { user, system } = process.cpuUsage(used);
  latencies.sort((one, other) => one - other);
  const told: Told = {
    count,
    seconds: (performance.now() - began) / 1000,
    p50Us: 1000 * (latencies[Math.floor(latencies.length / 2)] ?? 0),
    p99Us: 1000 * (latencies[Math.floor(latencies.length * 0.99)] ?? 0),
    cpuUs: user + system,
  };
  process.stdout.write(`${JSON.stringify(told)}\n`);
}
process.exit(0);
