import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { frame, pack, type Value } from '../peer/pack.ts';
import { unpack } from '../peer/unpack.ts';

export interface Asked {
  readonly id: number;
  readonly params: readonly unknown[];
}

/** What a server does of a connection: how it greets, and what it says when so many requests are there. */
export interface Plan {
  readonly greeting: (id: number) => Buffer;
  readonly requests: number;
  readonly answer: (asked: readonly Asked[]) => Buffer;
  /** It ends the connection behind its answer. */
  readonly ends: (asked: readonly Asked[]) => boolean;
}

export const GREETING: { readonly [key: string]: Value } = {
  protocol: 1,
  frame: 4 * 1024 * 1024,
  features: ['cancel', 'stream', 'drain', 'ping'],
  window: 64,
  plugin: 'hostile',
  version: null,
  sandbox: null,
  sdk: 'hostile/1.0.0',
};

/** A server of the tests' own, whose first connection goes by a plan; others are closed. */
export class HostileServer {
  /** What the client sent that it must not. */
  readonly faults: string[] = [];
  /** Codes of the `$close`s that came. */
  readonly reasons: string[] = [];
  readonly path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #plan: Plan | undefined;

  private constructor(path: string) {
    this.path = path;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async up(path: string): Promise<HostileServer> {
    const server = new HostileServer(path);
    await new Promise<void>((resolve) => server.#server.listen(path, resolve));
    return server;
  }

  /** Of the next connection. */
  set plan(plan: Plan) {
    this.#plan = plan;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  down(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    rmSync(this.path, { force: true });
  }

  #serve(socket: Socket): void {
    const plan = this.#plan;
    this.#plan = undefined;
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    if (plan === undefined) {
      socket.destroy();
      return;
    }
    const asked: Asked[] = [];
    let rest = Buffer.alloc(0);
    socket.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
        const read = unpack(rest.subarray(4, 4 + rest.readUInt32BE(0)));
        rest = rest.subarray(4 + rest.readUInt32BE(0));
        if (read.kind !== 'value' || !Array.isArray(read.value)) this.faults.push('no message');
        else this.#take(read.value, socket, plan, asked);
      }
    });
  }

  #take(message: readonly unknown[], socket: Socket, plan: Plan, asked: Asked[]): void {
    const [type, id, method, params] = message;
    if (type === 2) {
      if (id === '$close' && Array.isArray(method)) this.reasons.push(String(method[0]));
      return;
    }
    if (type !== 0 || typeof id !== 'number' || !Array.isArray(params)) {
      this.faults.push(`no request: ${pack(message as Value).toString('hex')}`);
      return;
    }
    if (method === '$hello') {
      socket.write(plan.greeting(id));
      return;
    }
    asked.push({ id, params });
    if (asked.length !== plan.requests) return;
    socket.write(plan.answer(asked));
    if (plan.ends(asked)) socket.end();
  }
}

export function goodGreeting(id: number): Buffer {
  return frame([1, id, null, GREETING]);
}
