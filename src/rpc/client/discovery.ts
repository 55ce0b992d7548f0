import { createConnection, type Socket } from 'node:net';
import { type DiscoveryMessage, readDiscovery } from './discovery-message.ts';

export interface DiscoveryEvents {
  readonly message: (message: DiscoveryMessage) => void;
  /** @param why it is not connected. */
  readonly connected: (is: boolean, why: string | undefined) => void;
}

/** A list of the most sandboxes that are taken has less than half of it. */
const LONGEST_LINE = 2 * 1024 * 1024;
/** Before it is tried again: at first, and at most, ms. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;

/** What an error means to who calls a plugin. */
const MEANINGS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket: the plugin does not run, or does not declare rpc (ENOENT)',
  ECONNREFUSED: 'nobody listens: the supervisor is away (ECONNREFUSED)',
  EACCES: 'permission denied: see user, group and mode of rpc in the declaration (EACCES)',
};

/** Follows what is told of a plugin's sandboxes, through restarts of the supervisor, until released. */
export class Discovery {
  readonly #path: string;
  readonly #events: DiscoveryEvents;
  #socket: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #rest = '';
  #connected = false;
  #released = false;

  constructor(path: string, events: DiscoveryEvents) {
    this.#path = path;
    this.#events = events;
    this.#connect();
  }

  /** What is told now is told at once. */
  get connected(): boolean {
    return this.#connected;
  }

  release(): void {
    this.#released = true;
    clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  #connect(): void {
    const socket = createConnection(this.#path);
    this.#socket = socket;
    this.#rest = '';
    let why: string | undefined;
    socket.setEncoding('utf8');
    socket.on('connect', () => {
      this.#connected = true;
      this.#events.connected(true, undefined);
    });
    socket.on('data', (chunk: string) => {
      try {
        if (!socket.destroyed) this.#take(chunk);
      } catch (error) {
        why = `what it told is not understood: ${error instanceof Error ? error.message : String(error)}`;
        socket.destroy();
      }
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      why = `${this.#path}: ${MEANINGS[error.code ?? ''] ?? error.message}`;
    });
    socket.on('close', () => {
      this.#connected = false;
      if (this.#released) return;
      this.#events.connected(false, why ?? `${this.#path}: it ended`);
      this.#connectLater();
    });
  }

  #connectLater(): void {
    const pauseMs = this.#pauseMs * (0.5 + Math.random() / 2);
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
    this.#timer = setTimeout(() => this.#connect(), pauseMs);
  }

  /** @throws Error for what is not as it should be. */
  #take(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > LONGEST_LINE) throw new Error('a line is too long');
    for (const line of lines) {
      if (line.length > LONGEST_LINE) throw new Error('a line is too long');
      const message = readDiscovery(line);
      // Only who tells something is worth to be asked again soon.
      this.#pauseMs = FIRST_PAUSE_MS;
      this.#events.message(message);
    }
  }
}
