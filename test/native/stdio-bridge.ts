import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ACTIVITY_PAGE_BYTES } from '../../src/diagnose/activity-page.ts';
import { listenUnix } from '../../src/kernel/native.ts';
import { checkout, messages, program, Running, sanitized, startSink } from './native-programs.ts';

export const PYTHON_SERVER = ['/usr/bin/python3', join(checkout, 'test', 'stdio', 'server.py')];

/** `plugin-stdio` at sockets that are passed, as init passes them: one for clients, and one for probes. */
export class Bridge {
  readonly running: Running;
  /** What it told by sd_notify(3). */
  readonly told: Running;
  readonly socket: string;
  readonly probe: string;
  readonly page: string;
  readonly #directory: string;

  private constructor(running: Running, told: Running, directory: string) {
    this.running = running;
    this.told = told;
    this.#directory = directory;
    [this.socket, this.probe, this.page] = pathsIn(directory);
  }

  static async start(
    options: readonly string[],
    command: readonly string[],
    environment: Record<string, string> = {},
  ): Promise<Bridge> {
    const directory = mkdtempSync(join(tmpdir(), 'bulkhead-stdio-'));
    const [socket, probe, page] = pathsIn(directory);
    const told = await startSink(join(directory, 'notify'));
    writeFileSync(page, '');
    truncateSync(page, ACTIVITY_PAGE_BYTES);
    const listeners = [
      listenUnix({ path: socket, backlog: 64, mode: 0o600 }),
      listenUnix({ path: probe, backlog: 64, mode: 0o600 }),
    ];
    const child = spawn(program('plugin-stdio'), [...options, '--', ...command], {
      stdio: ['ignore', 'pipe', 'pipe', ...listeners],
      env: {
        PATH: process.env.PATH ?? '',
        LISTEN_FDS: '2',
        LISTEN_FDNAMES: 'mcp:probe',
        NOTIFY_SOCKET: join(directory, 'notify'),
        BULKHEAD_ACTIVITY: page,
        ...environment,
      },
    });
    for (const listener of listeners) closeSync(listener);
    return new Bridge(new Running(child, undefined), told, directory);
  }

  get isReady(): boolean {
    return messages(this.told).includes('READY=1');
  }

  async ready(): Promise<this> {
    await this.running.until('READY=1', () => this.isReady, 20_000);
    return this;
  }

  end(): void {
    this.running.kill();
    this.told.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function pathsIn(directory: string): readonly [socket: string, probe: string, page: string] {
  return [join(directory, 'socket'), join(directory, 'probe'), join(directory, 'page')];
}

/** A client without manners: it sends what it is told to. */
export class RawClient {
  readonly socket: Socket;
  text = '';
  closed = false;

  constructor(path: string) {
    this.socket = connect({ path, allowHalfOpen: true });
    this.socket.on('data', (data) => {
      this.text += String(data);
    });
    this.socket.on('error', () => {});
    this.socket.on('end', () => {
      this.closed = true;
    });
  }

  static async open(path: string): Promise<RawClient> {
    const client = new RawClient(path);
    await once(client.socket, 'connect');
    return client;
  }

  say(message: object | string): void {
    this.socket.write(
      typeof message === 'string' ? `${message}\n` : `${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`,
    );
  }

  /** All whole lines that came. */
  get lines(): string[] {
    return this.text.split('\n').slice(0, -1);
  }

  get answers(): Record<string, unknown>[] {
    return this.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    const began = Date.now();
    for (let round = 0; !holds(); round++) {
      const shown = `${this.text.slice(0, 2000)}${this.closed ? ', closed' : ''}`;
      assert.ok(Date.now() - began < 15_000, `no ${what}: ${shown}`);
      // Most of it has come in the next turn.
      await new Promise((settle) => (round < 20 ? setImmediate(settle) : setTimeout(settle, 5)));
    }
  }

  /** The answer to the request with this id. */
  async answer(id: unknown): Promise<Record<string, unknown>> {
    const find = () => this.answers.find((each) => each.id === id && !('method' in each));
    await this.until(`answer to ${String(id)}`, () => find() !== undefined);
    return find() ?? {};
  }

  /** Calls a tool of the server in Python; the text of its answer, or the error. */
  async tool(id: unknown, name: string, given: object = {}, more: object = {}): Promise<string> {
    this.say({ id, method: 'tools/call', params: { name, arguments: given, ...more } });
    const { result, error } = await this.answer(id);
    const content = (result as { content?: { text: string }[] } | undefined)?.content;
    return content?.[0]?.text ?? JSON.stringify(error);
  }

  async greet(): Promise<void> {
    this.say({
      id: 'hello',
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
    });
    await this.answer('hello');
    this.say({ method: 'notifications/initialized' });
  }
}

/** Of many MB that were on their way the bridge has few. What is freed stays with the sanitizers for a while. */
export function assertSmall(bridge: Bridge): void {
  const status = readFileSync(`/proc/${bridge.running.child.pid}/status`, 'utf8');
  const residentKb = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
  assert.ok(sanitized || residentKb < 10_000, `${residentKb} KB`);
}

export function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
