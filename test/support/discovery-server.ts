import { createServer, type Server, type Socket } from 'node:net';

/** Says what a test wants a client to be told at its discovery socket. */
export class DiscoveryServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #last = '';
  accepted = 0;

  private constructor(path: string) {
    this.#server = createServer((socket) => {
      this.accepted++;
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => this.#sockets.delete(socket));
      if (this.#last !== '') socket.write(this.#last);
    });
    this.#server.listen(path);
  }

  static listen(path: string): Promise<DiscoveryServer> {
    const server = new DiscoveryServer(path);
    return new Promise((resolve) => {
      server.#server.once('listening', () => resolve(server));
    });
  }

  /** All there are; who connects later is told, too. */
  sandboxes(
    ...list: readonly (Readonly<Record<string, unknown>> & { readonly generation: number; readonly socket: string })[]
  ): void {
    const sandboxes = list.map((each) => ({
      slot: 'a',
      version: 'v1',
      state: 'ready',
      score: 100,
      weight: 100,
      ...each,
    }));
    this.#last = `${JSON.stringify({ discovery: 1, plugin: 'test', sandboxes })}\n`;
    this.raw(this.#last);
  }

  crash(generation: number, incident: string | null): void {
    this.raw(`${JSON.stringify({ crash: { generation, class: 'crash', text: 'killed by SIGSEGV', incident } })}\n`);
  }

  raw(text: string): void {
    for (const socket of this.#sockets) socket.write(text);
  }

  /** As a supervisor that was killed. */
  die(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
