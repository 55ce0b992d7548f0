import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Connection } from '../../../../src/rpc/wire/connection.ts';
import { readError } from '../../../../src/rpc/wire/error-value.ts';
import type { Message, Outgoing } from '../../../../src/rpc/wire/message.ts';
import { until } from '../../../support/until.ts';

const TARGET = fileURLToPath(new URL('../../../conformance/targets/node.js', import.meta.url));

/** A plugin in a process of its own, with a directory for its state. */
export class Target {
  readonly directory = mkdtempSync(join(tmpdir(), 'plugin-'));
  readonly socket = join(this.directory, 'rpc.sock');
  stderr = '';
  child: ChildProcess | undefined;

  async start(environment: NodeJS.ProcessEnv = {}): Promise<void> {
    const child = spawn(process.execPath, [TARGET], {
      cwd: this.directory,
      env: {
        PATH: process.env.PATH,
        BULKHEAD_RPC_SOCKET: this.socket,
        STATE_DIRECTORY: join(this.directory, 'state'),
        ...environment,
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.child = child;
    child.stderr?.on('data', (text: Buffer) => {
      this.stderr += String(text);
    });
    await until(() => this.stderr.includes('bulkhead: serves') || child.exitCode !== null);
  }

  /** Resolves to its exit status, or the signal. */
  async stop(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> {
    const { child } = this;
    if (child === undefined) return null;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode ?? child.signalCode;
    const ended = once(child, 'exit');
    child.kill(signal);
    const [status, by] = (await ended) as [number | null, NodeJS.Signals | null];
    return status ?? by;
  }

  remove(): void {
    this.child?.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** One connection to it, without anything that a client library would do. */
export class Caller {
  readonly connection: Connection;
  readonly socket: Socket;
  readonly messages: Message[] = [];
  closed = false;
  #id = 0;

  constructor(path: string) {
    this.socket = createConnection(path);
    this.connection = new Connection({
      socket: this.socket,
      limit: 64 * 1024 * 1024,
      takesBare: false,
      message: (message) => this.messages.push(message),
      closed: () => {
        this.closed = true;
      },
    });
  }

  async greet(more: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const features = ['cancel', 'stream', 'drain', 'ping'];
    const greeting = { protocol: 1, frame: 64 * 1024 * 1024, features, name: 'test', ...more };
    return (await this.call('$hello', [greeting])) as Record<string, unknown>;
  }

  /** Sends a request and returns its id. */
  ask(method: string, params: readonly unknown[] = [], meta?: Record<string, unknown>): number {
    const id = this.#id++;
    this.send(meta === undefined ? [0, id, method, params] : [0, id, method, params, meta]);
    return id;
  }

  send(message: Outgoing): void {
    this.connection.send(message);
  }

  /** The result; an error is thrown as `CODE: MESSAGE`. */
  async answer(id: number): Promise<unknown> {
    const find = () => this.messages.find((each) => each.kind === 'response' && each.id === id);
    await until(() => find() !== undefined || this.closed);
    const found = find();
    if (found?.kind !== 'response') throw new Error('closed without an answer');
    if (found.error === null) return found.result;
    const { code, message } = readError(found.error);
    throw new Error(`${code}: ${message}`);
  }

  async call(method: string, params: readonly unknown[] = [], meta?: Record<string, unknown>): Promise<unknown> {
    return await this.answer(this.ask(method, params, meta));
  }

  notifications(method: string): (readonly unknown[])[] {
    return this.messages.flatMap((each) =>
      each.kind === 'notification' && each.method === method ? [each.params] : [],
    );
  }

  end(): void {
    this.connection.end();
  }
}
