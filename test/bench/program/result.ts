import { writeFileSync } from 'node:fs';
import { loadAverage, type MachineFacts } from './machine.ts';

/** What every benchmark leaves as JSON. */
export interface Result<Figures> {
  readonly format: 1;
  readonly bench: string;
  readonly quick: boolean;
  readonly machine: MachineFacts & { readonly loadAfter: number };
  /** Measured rounds; warming up not counted. */
  readonly n: number;
  readonly figures: Figures;
}

/** Writes the JSON, and prints the machine and these tables. */
export function deliver<Figures>(
  result: Omit<Result<Figures>, 'format' | 'machine'> & { readonly machine: MachineFacts; readonly out: string },
  text: string,
): void {
  const { out, machine, bench, quick, n, figures } = result;
  const whole: Result<Figures> = {
    format: 1,
    bench,
    quick,
    machine: { ...machine, loadAfter: loadAverage() },
    n,
    figures,
  };
  writeFileSync(out, `${JSON.stringify(whole, null, 2)}\n`);
  const { kernel, systemd, node, bulkhead, revision, processor, cores, memoryMb, loadBefore, loadAfter } =
    whole.machine;
  console.log(
    [
      `bench ${bench}${quick ? ' (quick: shows that it works; the figures mean nothing)' : ''}`,
      `  ${processor}, ${cores} cores, ${memoryMb} MB, Linux ${kernel}, systemd ${systemd}, node ${node}`,
      `  bulkhead ${bulkhead}, revision ${revision}`,
      `  load average ${loadBefore} before, ${loadAfter} after; n=${n}`,
      '',
      text,
    ].join('\n'),
  );
}

/** What is going on, for whoever waits. */
export function progress(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}
