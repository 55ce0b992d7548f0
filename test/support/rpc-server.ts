import { createServer, type Server } from 'node:net';
import { Connection } from '../../src/rpc/wire/connection.ts';
import type { Message, Notification, Request } from '../../src/rpc/wire/message.ts';

/** A server whose every answer a test decides: the other end of a client, without a plugin SDK. */
export interface Script {
  /** Answers a request other than the greeting; by default with its first parameter. */
  readonly request?: (request: Request, connection: Connection) => void;
  readonly notification?: (notification: Notification, connection: Connection) => void;
  /** What it says of itself; undefined: it does not know greetings. */
  readonly greeting?: Record<string, unknown> | undefined;
  readonly limit?: number;
}

export const GREETING = {
  protocol: 1,
  frame: 4 * 1024 * 1024,
  features: ['cancel', 'stream', 'drain', 'ping'],
  window: 64,
  plugin: 'test',
  version: 'v1',
  sandbox: null,
  sdk: 'test/0',
};

export class RpcServer {
  script: Script;
  /** What came, without greetings. */
  readonly requests: Request[] = [];
  readonly notifications: Notification[] = [];
  readonly connections = new Set<Connection>();
  accepted = 0;
  readonly #server: Server;

  private constructor(path: string, script: Script) {
    this.script = script;
    this.#server = createServer((socket) => {
      this.accepted++;
      const connection = new Connection({
        socket,
        limit: script.limit ?? 4 * 1024 * 1024,
        takesBare: true,
        message: (message) => this.#message(message, connection),
        closed: () => this.connections.delete(connection),
      });
      this.connections.add(connection);
    });
    this.#server.listen(path);
  }

  static listen(path: string, script: Script = {}): Promise<RpcServer> {
    const server = new RpcServer(path, script);
    return new Promise((resolve, reject) => {
      server.#server.once('listening', () => resolve(server));
      server.#server.once('error', reject);
    });
  }

  /** As a process that was killed: nothing is said, and nobody listens any more. */
  die(): void {
    this.#server.close();
    for (const connection of this.connections) connection.destroy();
  }

  #message(message: Message, connection: Connection): void {
    const { script } = this;
    if (message.kind === 'notification') {
      this.notifications.push(message);
      script.notification?.(message, connection);
    }
    if (message.kind !== 'request') return;
    if (message.method !== '$hello') {
      this.requests.push(message);
      if (script.request !== undefined) script.request(message, connection);
      else connection.send([1, message.id, null, message.params[0]]);
    } else if ('greeting' in script && script.greeting === undefined)
      connection.send([1, message.id, 'no such method', null]);
    else connection.send([1, message.id, null, script.greeting ?? GREETING]);
  }
}
