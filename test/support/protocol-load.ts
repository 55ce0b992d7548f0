/** Clients of the examples that speak gRPC and WebSocket, which account for each call. */
import { join } from 'node:path';
import {
  type ChannelCredentials,
  type ChannelOptions,
  type Client,
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { WebSocket } from 'ws';

/** A call that is not answered for so long (ms) is lost. */
const TIMEOUT_MS = 20_000;

export interface ProtocolLoad {
  /** Calls that were answered well, ever. */
  readonly good: number;
  /** Of whom the answers came. */
  readonly sandboxes: ReadonlySet<string>;
  /** Resolves with what was lost when the calls that are under way have ended. */
  stop(): Promise<readonly string[]>;
}

interface Reply {
  readonly text: string;
  readonly sandbox: string;
}

interface Hello extends Client {
  greet(request: object, options: object, done: (error: ServiceError | null, reply?: Reply) => void): void;
  greetOften(request: object): ClientReadableStream<Reply>;
}

type Making = new (address: string, trust: ChannelCredentials, options: ChannelOptions) => Hello;

/** A client of `hello.proto` in this directory. */
export function helloClient(directory: string, address: string): Hello {
  const hello = loadPackageDefinition(loadSync(join(directory, 'hello.proto'))).hello;
  const Hello = (hello as unknown as { Hello: Making }).Hello;
  // A connection of its own: channels share one otherwise.
  return new Hello(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
}

abstract class Load implements ProtocolLoad {
  good = 0;
  readonly sandboxes = new Set<string>();
  protected readonly lost: string[] = [];
  protected running = true;
  protected readonly workers: Promise<void>[] = [];

  async stop(): Promise<readonly string[]> {
    this.running = false;
    await Promise.all(this.workers);
    return this.lost;
  }

  protected take(asked: string, { text, sandbox }: Reply): void {
    if (text !== `hello ${asked}`) this.lost.push(`'${text}' in answer to '${asked}'`);
    else this.good += 1;
    this.sandboxes.add(sandbox);
  }
}

/** What grpc-js says of a call whose server has refused to begin it, on its second connection, too. */
const REFUSED = 'Stream refused by server';
const MOST_REFUSED = 10;

/**
 * gRPC: each client has a channel of its own, and makes one call after the other. The library sends a call that was not
 * begun once more; where several servers go one after the other that may meet the next one, and is up to the caller.
 */
export class GrpcLoad extends Load {
  constructor(directory: string, address: string, clients: number) {
    super();
    for (let each = 0; each < clients; each += 1) this.workers.push(this.#work(helloClient(directory, address), each));
  }

  async #work(client: Hello, which: number): Promise<void> {
    for (let call = 0; this.running; call += 1) {
      const name = `${which}.${call}`;
      const { error, reply } = await this.#greet(client, name);
      if (error !== null || reply === undefined) this.lost.push(`call ${name}: ${error?.code} ${error?.details}`);
      else this.take(name, reply);
    }
    client.close();
  }

  async #greet(client: Hello, name: string): Promise<{ error: ServiceError | null; reply: Reply | undefined }> {
    for (let refused = 0; ; refused += 1) {
      const answer = await new Promise<{ error: ServiceError | null; reply: Reply | undefined }>((resolve) => {
        client.greet({ name }, { deadline: Date.now() + TIMEOUT_MS }, (error, reply) => resolve({ error, reply }));
      });
      if (answer.error?.details !== REFUSED || refused === MOST_REFUSED) return answer;
    }
  }
}

/** WebSocket: each client keeps a connection until it is told that it ends, and then makes its next request on another. */
export class WebSocketLoad extends Load {
  readonly #url: string;

  constructor(url: string, clients: number) {
    super();
    this.#url = url;
    for (let each = 0; each < clients; each += 1) this.workers.push(this.#work(each));
  }

  async #work(which: number): Promise<void> {
    let call = 0;
    while (this.running) {
      const socket = new WebSocket(this.#url, { handshakeTimeout: TIMEOUT_MS });
      try {
        call = await this.#converse(socket, which, call);
      } catch (error) {
        this.lost.push(`connection of ${which}: ${String(error)}`);
      } finally {
        socket.terminate();
      }
    }
  }

  async #converse(socket: WebSocket, which: number, first: number): Promise<number> {
    let draining = false;
    let answered: (reply: Reply & { readonly id: number }) => void = () => undefined;
    const ended = new Promise<never>((_, reject) => {
      socket.once('error', reject);
      socket.once('close', (code) => reject(new Error(`closed with ${code}`)));
    });
    // What nobody waits for any more is no fault.
    ended.catch(() => undefined);
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as { draining?: true } & Reply & { readonly id: number };
      if (message.draining) draining = true;
      else answered(message);
    });
    await Promise.race([new Promise((resolve) => socket.once('open', resolve)), ended]);
    let call = first;
    for (; this.running && !draining; call += 1) {
      const text = `${which}.${call}`;
      const reply = new Promise<Reply & { readonly id: number }>((resolve, reject) => {
        const timer = setTimeout(reject, TIMEOUT_MS, new Error('no answer'));
        answered = (message) => {
          clearTimeout(timer);
          resolve(message);
        };
      });
      socket.send(JSON.stringify({ id: call, text }));
      const message = await Promise.race([reply, ended]);
      if (message.id !== call) throw new Error(`the answer to ${message.id} came for ${call}`);
      this.take(text, message);
    }
    return call;
  }
}
