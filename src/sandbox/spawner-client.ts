import { connect, type Socket } from 'node:net';
import type { Clock, Owned } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { sendWithFds } from '../kernel/native.ts';
import { rawDescriptor } from './launch-server.ts';
import { LineSplitter } from './line-splitter.ts';

/** How long the spawner may be away, because it restarts, and how long it may take to answer; ms. */
const CONNECT_MS = 10_000;
const ANSWER_MS = 10_000;
const RETRY_MS = 50;

const LONGEST_ANSWER = 4096;
/** `cloned` and what became of it; whoever says more is no spawner. */
const MOST_ANSWERS = 2;
/** Highest process id there can be (pid_max of proc_sys_kernel(5)). */
const MOST_PID = 4_194_304;

/** A spawner that comes up, or one whose queue is full, is worth another try. */
const WORTH_RETRYING = ['ENOENT', 'ECONNREFUSED', 'EAGAIN'];

/** What the spawner is to clone. The descriptors stay the caller's. */
export interface CloneOrder {
  readonly unit: string;
  /** Options of the box, `--`, init and its arguments. */
  readonly words: readonly string[];
  readonly fds: readonly number[];
}

/** A process in namespaces of its own that waits to be let go. Releasing it before that ends it. */
export interface ClonedProcess extends Owned {
  /** Of the host: the process, and its forwarder outside if it has one. */
  readonly pids: readonly number[];
  /** Lets it execute init; it must be in its unit by now. Throws BH302 and BH308. */
  go(): Promise<void>;
}

/** The spawner as the supervisor sees it: see "Spawner" in docs/internals.md. One connection for each sandbox. */
export class Spawner {
  readonly #path: string;
  readonly #clock: Clock;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  /** Throws BH302 with the step when the sandbox cannot be made, BH308 when there is no spawner that answers. */
  async clone(order: CloneOrder): Promise<ClonedProcess> {
    const { unit } = order;
    const connection = await this.#ask(order);
    try {
      const pids = clonedPids(unit, await connection.answer());
      return {
        pids,
        go: async () => {
          connection.say(`go ${unit}\n`);
          const answer = await connection.answer();
          if (answer !== 'started') throw refusal(unit, answer);
        },
        release: () => connection.release(),
      };
    } catch (error) {
      connection.release();
      throw error;
    }
  }

  /** A connection with an answer on it. One that ends before its first answer was met by a spawner that went away. */
  async #ask(order: CloneOrder): Promise<Connection> {
    const deadline = this.#clock.now() + CONNECT_MS;
    for (;;) {
      const connection = new Connection(this.#path, this.#clock);
      try {
        await connection.open();
        connection.send(order);
        await connection.answered();
        return connection;
      } catch (error) {
        connection.release();
        if (!(error instanceof Away)) throw error;
        if (this.#clock.now() >= deadline)
          throw new Failure('BH308', `nobody served '${this.#path}' for ${CONNECT_MS / 1000} s: ${error.message}`);
      }
      await new Promise<void>((resolve) => this.#clock.after(RETRY_MS, resolve));
    }
  }
}

/** Nobody is there, or nobody any more. */
class Away extends Error {}

/** One talk with the spawner, answer by answer. */
class Connection implements Owned {
  readonly #clock: Clock;
  readonly #socket: Socket;
  readonly #lines = new LineSplitter(LONGEST_ANSWER);
  readonly #answers: string[] = [];
  #end: Error | undefined;
  #changed: () => void = () => {};

  constructor(path: string, clock: Clock) {
    this.#clock = clock;
    this.#socket = connect(path);
    this.#socket.on('data', (chunk: Buffer) => this.#heard(chunk));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#ended(errorOf(error)));
    this.#socket.on('close', () => this.#ended(new Away('it closed the connection')));
    this.#socket.on('connect', () => this.#changed());
  }

  async open(): Promise<void> {
    await this.#until(() => !this.#socket.connecting);
  }

  /** The order, with its descriptors at the first byte. */
  send({ unit, words, fds }: CloneOrder): void {
    const body = Buffer.from(words.map((word) => `${word}\0`).join(''));
    const message = Buffer.concat([Buffer.from(`spawn 1 ${unit} ${body.length}\n`), body]);
    const sent = sendWithFds(rawDescriptor(this.#socket), message, fds);
    if (sent < message.length) this.#socket.write(message.subarray(sent));
  }

  say(line: string): void {
    this.#socket.write(line);
  }

  /** There is an answer now. Throws Away when the connection ended without one. */
  async answered(): Promise<void> {
    await this.#until(() => this.#answers.length > 0);
  }

  /** The next answer. */
  async answer(): Promise<string> {
    try {
      await this.answered();
    } catch (error) {
      if (error instanceof Away) throw new Failure('BH308', error.message);
      throw error;
    }
    return this.#answers.shift() ?? '';
  }

  release(): void {
    this.#socket.destroy();
    this.#ended(new Away('the connection was given up'));
  }

  #heard(chunk: Buffer): void {
    const lines = this.#lines.push(chunk);
    if (lines === undefined || this.#answers.length + lines.length > MOST_ANSWERS) {
      this.#ended(new Failure('BH308', 'it said more than a spawner says'));
      this.#socket.destroy();
      return;
    }
    this.#answers.push(...lines);
    this.#changed();
  }

  #ended(why: Error): void {
    this.#end ??= why;
    this.#changed();
  }

  /** Waits until it holds. Throws why it never will. */
  async #until(holds: () => boolean): Promise<void> {
    const limit = this.#clock.after(ANSWER_MS, () => {
      this.#ended(new Failure('BH308', `it did not answer within ${ANSWER_MS / 1000} s`));
    });
    try {
      await new Promise<void>((resolve, reject) => {
        this.#changed = () => {
          if (this.#answers.length === 0 && this.#end !== undefined) reject(this.#end);
          else if (holds()) resolve();
        };
        this.#changed();
      });
    } finally {
      this.#changed = () => {};
      limit.release();
    }
  }
}

function errorOf(error: NodeJS.ErrnoException): Error {
  if (WORTH_RETRYING.includes(error.code ?? '')) return new Away(error.message);
  return new Failure('BH308', error.message, { cause: error });
}

function clonedPids(unit: string, answer: string): number[] {
  const [, own, forwarder] = /^cloned (\d{1,7})(?: (\d{1,7}))?$/.exec(answer) ?? [];
  const pids = [own, forwarder].filter((digits) => digits !== undefined).map(Number);
  if (pids.length > 0 && pids.every((pid) => pid > 1 && pid <= MOST_PID)) return pids;
  throw refusal(unit, answer);
}

/** `failed STEP ERRNO TEXT`, or what nobody understands. */
function refusal(unit: string, answer: string): Failure {
  const [, step, text] = /^failed ([a-z0-9-]{1,64}) \d{1,4} (.*)$/.exec(answer) ?? [];
  if (step === undefined || text === undefined)
    return new Failure('BH308', `its answer is not understood: '${printable(answer)}'`);
  return new Failure('BH302', `'${unit}': step '${step}': ${printable(text)}`);
}

function printable(text: string): string {
  return text.slice(0, 256).replace(/[\p{Cc}\p{Cs}\u2028\u2029]/gu, '?');
}
