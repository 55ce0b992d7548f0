import { connect, type Socket } from 'node:net';
import { createInterface, type Interface } from 'node:readline';
import type { Step } from './attempt.ts';

/** What became of one step. */
export type Outcome =
  | { readonly kind: 'gave'; readonly error: string; readonly detail: string }
  /** The program said that it would try, and then nobody was there. */
  | { readonly kind: 'ended' }
  | { readonly kind: 'not tried'; readonly why: string };

/** The longest that one step may take (ms): scanning all files is the longest. */
const PATIENCE_MS = 20_000;

/** A talk with the hostile program in one sandbox, for as long as that lives. */
export class Hostile {
  readonly #socket: Socket;
  readonly #lines: Interface;
  readonly #waiting: ((line: string | undefined) => void)[] = [];
  readonly #early: string[] = [];
  #ended = false;
  /** Name of the sandbox, as the program found it in its environment. */
  sandbox = '';

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#lines = createInterface({ input: socket });
    this.#lines.on('line', (line) => {
      const next = this.#waiting.shift();
      if (next === undefined) this.#early.push(line);
      else next(line);
    });
    // Killed peers reset; that is an end like any other.
    socket.on('error', () => undefined);
    this.#lines.on('close', () => {
      this.#ended = true;
      for (const next of this.#waiting.splice(0)) next(undefined);
    });
  }

  /** Connects and waits until a sandbox answers: the socket outlives each of them. */
  static async at(path: string): Promise<Hostile> {
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      const hostile = new Hostile(connect({ path }));
      const line = await hostile.#line(PATIENCE_MS);
      const sandbox = /^here (\S+)$/.exec(line ?? '')?.[1];
      if (sandbox !== undefined) {
        hostile.sandbox = sandbox;
        return hostile;
      }
      hostile.close();
      if (performance.now() > end) throw new Error(`no sandbox answered at ${path} for ${PATIENCE_MS} ms`);
    }
  }

  get alive(): boolean {
    return !this.#ended;
  }

  close(): void {
    this.#lines.close();
    this.#socket.destroy();
  }

  async try(step: Step): Promise<Outcome> {
    const line = step.join('\t');
    this.#socket.write(`${line}\n`);
    const tried = await this.#line(PATIENCE_MS);
    if (tried !== `tried ${line}`) return { kind: 'not tried', why: tried ?? 'the connection ended before' };
    const gave = await this.#line(PATIENCE_MS);
    if (gave === undefined) return this.#ended ? { kind: 'ended' } : { kind: 'not tried', why: 'no answer in time' };
    const [, error = '', detail = ''] = /^gave (\w+) (.*)$/.exec(gave) ?? [];
    if (error === '') return { kind: 'not tried', why: `'${gave}' is no answer` };
    if (error === 'ENOTSUP') return { kind: 'not tried', why: detail };
    return { kind: 'gave', error, detail };
  }

  #line(patienceMs: number): Promise<string | undefined> {
    const early = this.#early.shift();
    if (early !== undefined || this.#ended) return Promise.resolve(early);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        const at = this.#waiting.indexOf(next);
        if (at >= 0) this.#waiting.splice(at, 1);
        resolve(undefined);
      }, patienceMs);
      const next = (line: string | undefined) => {
        clearTimeout(timer);
        resolve(line);
      };
      this.#waiting.push(next);
    });
  }
}
