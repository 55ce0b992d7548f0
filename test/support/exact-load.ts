import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Why a request was lost; test/load/load.h says what each of them means. */
export type Loss = 'refused' | 'closedBefore' | 'resetBefore' | 'closedWithin' | 'resetWithin' | 'late' | 'wrong';

/** What test/load prints at its end: each request that was asked is good, or one of the losses. Times in ns are CLOCK_MONOTONIC's. */
export interface Account extends Readonly<Record<Loss, number>> {
  readonly asked: number;
  readonly good: number;
  readonly lost: number;
  /** Until the last one was asked, and until the last one was answered or lost. */
  readonly askedMs: number;
  readonly ms: number;
  readonly connections: number;
  /** Connections that the server ended while no request was in them: no loss, but luck. */
  readonly idleEnds: number;
  readonly latencyUs: Readonly<Record<'mean' | 'p50' | 'p90' | 'p99' | 'p999' | 'max', number>>;
  /** The longest time between two good answers, while requests were asked. */
  readonly longestGapMs: number;
  /** The first 32. */
  readonly losses: readonly {
    readonly why: Loss;
    readonly error: number;
    readonly atNs: number;
    readonly openedNs: number;
    readonly askedNs: number;
    readonly served: number;
  }[];
  readonly by: Readonly<Record<string, { readonly good: number; readonly lost: number }>>;
  readonly bucketMs?: number;
  /** Good ones, lost ones and the longest time (us) of each span of `bucketMs`. */
  readonly buckets?: readonly (readonly [number, number, number])[];
}

export interface ExactLoadOptions {
  /** `HOST:PORT` with an IPv4 address, or `unix:PATH`. */
  readonly to: string;
  readonly protocol?: 'http' | 'raw';
  readonly connections: number;
  /** Whether a connection serves many requests, or one. */
  readonly keepAlive: boolean;
  /** Requests of a connection at most, with `keepAlive`. */
  readonly each?: number;
  /** Pause (ms) of each connection between requests: one number, or the least and the most. */
  readonly thinkMs?: number | readonly [number, number];
  /** Requests a second of all connections together, whatever the answers. */
  readonly rate?: number;
  /** In all; without it the load goes on until stop(). */
  readonly requests?: number;
  readonly timeoutMs?: number;
  readonly path?: string;
  readonly tally?: string;
  readonly bucketMs?: number;
  /** For a time (ms) instead of a number of requests. */
  readonly forMs?: number;
  /** test/load, where it is elsewhere, and before it what runs it. */
  readonly command?: readonly string[];
}

const PROGRESS_MS = 20;
const PATIENCE_MS = 60_000;

/** test/load, the load that accounts for each request exactly, at work. It ends with this process, whatever happens. */
export class ExactLoad {
  readonly #process: ChildProcess;
  readonly #ended: Promise<Account>;
  #good = 0;
  #lost = 0;

  constructor(options: ExactLoadOptions) {
    const [program = ownProgram(), ...words] = options.command ?? [];
    this.#process = spawn(program, [...words, ...wordsOf(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#ended = this.#read();
    this.#ended.catch(() => undefined); // told to whoever asks
  }

  get good(): number {
    return this.#good;
  }

  get lost(): number {
    return this.#lost;
  }

  /** Resolves when `count` more requests have been answered well. */
  async more(count: number, patienceMs = PATIENCE_MS): Promise<void> {
    const goal = this.#good + count;
    const until = performance.now() + patienceMs;
    while (this.#good < goal) {
      if (this.#process.exitCode !== null) throw new Error(`the load ended after ${this.#good} good answers`);
      if (performance.now() > until)
        throw new Error(`only ${this.#good} of ${goal} answers in ${patienceMs} ms, ${this.#lost} lost`);
      await new Promise((resolve) => setTimeout(resolve, PROGRESS_MS));
    }
  }

  /** Lets the requests that are under way end. */
  stop(): Promise<Account> {
    this.#process.kill('SIGTERM');
    return this.#ended;
  }

  /** For a load with a number of requests. */
  finished(): Promise<Account> {
    return this.#ended;
  }

  /** For `finally`: nothing is left of it. */
  release(): void {
    this.#process.kill('SIGKILL');
  }

  async #read(): Promise<Account> {
    const { stdout } = this.#process;
    if (stdout === null) throw new Error('no pipe');
    const exited = once(this.#process, 'exit');
    let account: Account | undefined;
    for await (const line of createInterface({ input: stdout })) {
      const said = JSON.parse(line) as Account & { readonly progress: boolean };
      this.#good = said.good;
      this.#lost = said.lost;
      if (!said.progress) account = said;
    }
    const [status, signal] = await exited;
    if (account === undefined) throw new Error(`the load ended with ${status ?? signal} and without its account`);
    return account;
  }
}

/** What says why requests were lost, for the message of an assertion. */
export function describeLosses(account: Account): string {
  return account.losses.map((loss) => JSON.stringify(loss)).join('\n');
}

function wordsOf(options: ExactLoadOptions): string[] {
  const { thinkMs, rate, requests, forMs, each, timeoutMs, path, tally, bucketMs } = options;
  const think = typeof thinkMs === 'object' ? thinkMs.join('-') : thinkMs;
  const values = { think, rate, requests, for: forMs, each, timeout: timeoutMs, path, tally, buckets: bucketMs };
  return [
    ...['--to', options.to, '--connections', String(options.connections), '--progress', String(PROGRESS_MS)],
    ...(options.protocol === 'raw' ? ['--raw'] : []),
    ...(options.keepAlive ? ['--keep'] : []),
    ...Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, String(value)])),
  ];
}

function ownProgram(): string {
  const above = (directory: string): string =>
    existsSync(join(directory, 'native', 'build')) ? directory : above(dirname(directory));
  return join(above(dirname(fileURLToPath(import.meta.url))), 'build', 'native', 'test', 'load');
}
