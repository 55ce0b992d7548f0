import { decode, encodeFrame } from '../../../src/rpc/wire/codec.ts';
import { contentOf, type Payload } from './rpc-payloads.ts';
import { median } from './statistics.ts';

/** CPU time of this process for one message, microseconds: to bytes, and back with all checks. */
export interface CodecCost {
  readonly encodeUs: number;
  readonly decodeUs: number;
}

const REPEATS = 7;

/** What a call cannot cost less than, however good the rest is: its request and its answer are encoded and decoded. */
export function codecCost(payload: Payload, times: number): CodecCost {
  const message = [0, 1, 'echo', [contentOf(payload)]];
  const bytes = Buffer.from(encodeFrame(message, 8 * 1024 * 1024));
  const spent = (work: () => void): number => {
    const repeats = Array.from({ length: REPEATS }, () => {
      const before = process.cpuUsage();
      for (let each = 0; each < times; each += 1) work();
      const { user, system } = process.cpuUsage(before);
      return (user + system) / times;
    });
    return median(repeats);
  };
  return {
    encodeUs: spent(() => encodeFrame(message, 8 * 1024 * 1024)),
    decodeUs: spent(() => decode(bytes, 4, bytes.length)),
  };
}
