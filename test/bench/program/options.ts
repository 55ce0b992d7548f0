import { parseArgs } from 'node:util';

/** What test/bench/bench tells a benchmark. */
export interface Options {
  /** Measured rounds; each benchmark has a number of its own when none is given. */
  readonly n: number;
  /** Only show that it works: as few and short measurements as there can be. */
  readonly quick: boolean;
  /** File for the results. */
  readonly out: string;
  /** What was measured: the commit of the checkout. */
  readonly revision: string;
  /** Name of a tracefs instance that records each execve(2); undefined where the kernel cannot. */
  readonly trace: string | undefined;
}

export function options(usually: number): Options {
  const { values } = parseArgs({
    options: {
      n: { type: 'string' },
      quick: { type: 'boolean', default: false },
      out: { type: 'string' },
      revision: { type: 'string', default: 'unknown' },
      trace: { type: 'string' },
    },
  });
  const n = values.n === undefined ? (values.quick ? 2 : usually) : Number(values.n);
  if (!Number.isSafeInteger(n) || n < 1) throw new Error(`--n ${values.n}: a whole number of at least 1 is expected`);
  if (values.out === undefined) throw new Error('--out FILE is missing');
  return { n, quick: values.quick, out: values.out, revision: values.revision, trace: values.trace };
}
