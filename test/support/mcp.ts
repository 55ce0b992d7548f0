import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { ReadBuffer, serializeMessage } from '@modelcontextprotocol/sdk/shared/stdio.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';

/** A transport of the official SDK over a Unix socket, which speaks as its own for standard streams does. */
export class SocketTransport implements Transport {
  readonly #path: string;
  readonly #buffer = new ReadBuffer();
  #socket: Socket | undefined;
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;

  constructor(path: string) {
    this.#path = path;
  }

  async start(): Promise<void> {
    const socket = connect(this.#path);
    this.#socket = socket;
    await once(socket, 'connect');
    socket.on('data', (data) => this.#take(data));
    socket.on('error', (error) => this.onerror?.(error));
    socket.on('close', () => this.onclose?.());
  }

  #take(data: Buffer): void {
    this.#buffer.append(data);
    for (let message = this.#buffer.readMessage(); message !== null; message = this.#buffer.readMessage())
      this.onmessage?.(message);
  }

  async send(message: JSONRPCMessage): Promise<void> {
    this.#socket?.write(serializeMessage(message));
  }

  async close(): Promise<void> {
    this.#socket?.destroy();
  }
}

/** A client of the official SDK that has been greeted by the server at a Unix socket. */
export async function mcpClient(path: string, capabilities: object = {}): Promise<Client> {
  const client = new Client({ name: 'bulkhead-test', version: '1' }, { capabilities });
  await client.connect(new SocketTransport(path));
  return client;
}

/** The text of a tool's answer. */
export async function toolText(client: Client, name: string, given: Record<string, unknown> = {}): Promise<string> {
  const answer = await client.callTool({ name, arguments: given });
  const [first] = Array.isArray(answer.content) ? (answer.content as { text?: string }[]) : [];
  return first?.text ?? '';
}
