import { createServer, type Server, type Socket } from 'node:net';
import { frame, type Value } from '../peer/pack.ts';
import { unpack } from '../peer/unpack.ts';
import { goodGreeting } from './hostile-server.ts';

/** How a server of the tests does what it is asked: `hung` reads and is silent, `deaf` does not even read. */
export type Mood = 'well' | 'slow' | 'hung' | 'garbage' | 'deaf';

/** An answer of one that is slow, ms. */
export const SLOW_MS = 700;

/** Echoes, in whatever mood it is put. It counts what it was asked. */
export class MoodyServer {
  asked = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #mood: Mood = 'well';

  private constructor(path: string) {
    this.#server = createServer((socket) => this.#serve(socket));
    this.#server.listen(path);
  }

  static up(path: string): Promise<MoodyServer> {
    const server = new MoodyServer(path);
    return new Promise((resolve) => {
      server.#server.once('listening', () => resolve(server));
    });
  }

  get mood(): Mood {
    return this.#mood;
  }

  set mood(mood: Mood) {
    this.#mood = mood;
    for (const socket of this.#sockets) {
      if (mood === 'deaf') socket.pause();
      else socket.resume();
    }
  }

  down(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    let rest = Buffer.alloc(0);
    socket.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
        const read = unpack(rest.subarray(4, 4 + rest.readUInt32BE(0)));
        rest = rest.subarray(4 + rest.readUInt32BE(0));
        if (read.kind === 'value' && Array.isArray(read.value) && read.value[0] === 0)
          this.#request(socket, read.value);
      }
    });
    if (this.#mood === 'deaf') socket.pause();
  }

  #request(socket: Socket, [, id, method, params]: readonly unknown[]): void {
    if (typeof id !== 'number') return;
    if (method === '$hello') {
      if (this.#mood !== 'hung') socket.write(goodGreeting(id));
      return;
    }
    this.asked += 1;
    const answer = (): void => {
      if (!socket.destroyed) socket.write(frame([1, id, null, (params as Value[])[0]]));
    };
    if (this.#mood === 'well') answer();
    else if (this.#mood === 'slow') setTimeout(answer, SLOW_MS);
    else if (this.#mood === 'garbage') socket.write(Buffer.from('00000002c1c1', 'hex'));
  }
}
