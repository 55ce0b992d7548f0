import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Ask, Told } from './rpc-caller.ts';
import { isObject, PAYLOADS, type Payload } from './rpc-payloads.ts';

/** Where test/bench/bench has put the programs. */
export interface Places {
  readonly programs: string;
  readonly checkout: string;
}

/** Who serves, who calls, and by what. */
export const VARIANTS = {
  floor: { title: 'C, bytes there and back', serve: ({ programs }: Places) => [`${programs}/rpc-floor`, 'serve'] },
  raw: { title: 'Node.js, the same', serve: node('rpc-server.mjs', 'raw') },
  ts: { title: 'bulkhead, plugin in TypeScript', serve: node('rpc-target.mjs') },
  python: {
    title: 'bulkhead, plugin in Python',
    serve: ({ checkout }: Places) => ['/usr/bin/python3', `${checkout}/test/conformance/targets/python.py`],
  },
  c: {
    title: 'bulkhead, plugin in C',
    serve: ({ checkout }: Places) => [`${checkout}/build/native/test/conformance-target`],
  },
  grpc: { title: '@grpc/grpc-js', serve: node('rpc-server.mjs', 'grpc') },
  http: { title: 'undici and node:http', serve: node('rpc-server.mjs', 'http') },
} as const;

export type Variant = keyof typeof VARIANTS;

function node(...words: readonly string[]): (places: Places) => readonly string[] {
  const [program = '', ...rest] = words;
  return ({ programs }) => [process.execPath, `${programs}/${program}`, ...rest];
}

/** The floor has no objects: it is the same bytes. */
export function serves(variant: Variant, payload: Payload): boolean {
  return !isObject(payload) || (variant !== 'floor' && variant !== 'raw');
}

/** What one spell of calls came to. */
export interface Spell extends Told {
  /** CPU time of the server. */
  readonly serverCpuUs: number;
}

/** A server and who calls it, each a process. */
export class Pair {
  readonly #path: string;
  readonly #server: ChildProcess;
  readonly #caller: ChildProcess | undefined;
  readonly #lines: AsyncIterableIterator<string> | undefined;
  readonly #floor: string;

  private constructor(variant: Variant, places: Places) {
    this.#path = `${places.programs}/${variant}.sock`;
    this.#floor = `${places.programs}/rpc-floor`;
    const [program = '', ...words] = VARIANTS[variant].serve(places);
    const ours = variant === 'ts' || variant === 'python' || variant === 'c';
    const env = { PATH: process.env.PATH, BULKHEAD_RPC_SOCKET: this.#path, STATE_DIRECTORY: places.programs };
    // What ours say to who starts them by hand is nobody's concern here.
    const stdio = ['ignore', 'ignore', ours ? 'ignore' : 'inherit'] as const;
    this.#server = spawn(program, ours ? words : [...words, this.#path], { env, stdio: [...stdio] });
    if (variant === 'floor') return;
    const how = ours ? 'ours' : variant;
    const caller = spawn(process.execPath, [`${places.programs}/rpc-caller.mjs`, how, this.#path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#caller = caller;
    this.#lines = createInterface({ input: caller.stdout })[Symbol.asyncIterator]();
  }

  static async up(variant: Variant, places: Places): Promise<Pair> {
    const pair = new Pair(variant, places);
    for (let waited = 0; !existsSync(pair.#path); waited += 20) {
      if (waited > 20_000) throw new Error(`'${variant}' does not serve`);
      await pause(20);
    }
    return pair;
  }

  async measure(payload: Payload, window: number, ms: number): Promise<Spell> {
    const before = this.#serverCpuUs();
    const told = await this.#ask({ payload, window, ms });
    return { ...told, serverCpuUs: this.#serverCpuUs() - before };
  }

  release(): void {
    this.#caller?.kill('SIGKILL');
    this.#server.kill('SIGKILL');
  }

  async #ask(ask: Ask): Promise<Told> {
    if (this.#caller === undefined || this.#lines === undefined) {
      const words = ['ask', this.#path, PAYLOADS[ask.payload].bytes, ask.window, ask.ms].map(String);
      return JSON.parse((await promisify(execFile)(this.#floor, words)).stdout) as Told;
    }
    this.#caller.stdin?.write(`${JSON.stringify(ask)}\n`);
    const { value } = await this.#lines.next();
    if (typeof value !== 'string') throw new Error(`the caller has ended with ${this.#caller.exitCode}`);
    return JSON.parse(value) as Told;
  }

  /** Of all its threads (proc(5): the first number of schedstat is ns on a processor). */
  #serverCpuUs(): number {
    const tasks = `/proc/${this.#server.pid}/task`;
    return readdirSync(tasks)
      .map((task) => Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]) / 1000)
      .reduce((all, each) => all + each, 0);
  }
}
