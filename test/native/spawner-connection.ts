import { Socket } from 'node:net';
import type { Report } from './native-programs.ts';

/** One connection to the spawner, from the supervisor's end. */
export class Spawn {
  readonly unit: string;
  readonly socket: Socket;
  readonly reports: Report[] = [];
  said = '';
  /** The spawner has closed it. */
  readonly closed: Promise<void>;
  /** Nobody holds the report pipe any more. */
  readonly gone: Promise<void>;
  readonly #reportPipe: Socket;

  constructor(unit: string, socket: Socket, reportFd: number) {
    this.unit = unit;
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.said += chunk.toString();
    });
    socket.on('error', () => undefined);
    this.closed = new Promise((settle) => socket.on('close', () => settle()));
    this.#reportPipe = new Socket({ fd: reportFd, readable: true, writable: false });
    let rest = '';
    this.#reportPipe.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.reports.push(JSON.parse(line) as Report);
    });
    this.gone = new Promise((settle) => this.#reportPipe.on('close', () => settle()));
  }

  events(): string[] {
    return this.reports.map((report) => report.event);
  }

  /** All that it says until it closes the connection. */
  async answer(): Promise<string> {
    await this.closed;
    return this.said;
  }

  /** Process id of the child, once it is told. */
  async cloned(): Promise<number> {
    await until(`cloned: ${this.said}`, () => this.said.includes('\n'), 8000);
    const pid = /^cloned ([1-9]\d*)\n/.exec(this.said)?.[1];
    if (pid === undefined) throw new Error(`not cloned: ${this.said}`);
    return Number(pid);
  }

  say(text: string): void {
    this.socket.write(text);
  }

  drop(): void {
    this.socket.destroy();
  }

  /** Stops reading the reports, too. */
  forget(): void {
    this.socket.destroy();
    this.#reportPipe.destroy();
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((settle) => setTimeout(settle, ms));
}

export async function until(what: string, condition: () => boolean, ms = 4000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`no ${what}`);
    await pause(2);
  }
}
