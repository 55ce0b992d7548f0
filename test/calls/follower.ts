import { connect, type Socket } from 'node:net';
import type { DiscoveredSandbox } from '../../src/decide/discovered.ts';
import type { Crash } from '../../src/decide/order.ts';
import { pause } from '../support/load.ts';
import { until } from '../support/system.ts';

export type Told = DiscoveredSandbox & { readonly socket: string };

/** How soon a connection that ended is made again; ms. */
const AGAIN_MS = 20;

/** Reads a plugin's discovery as the call protocol says, and connects again for as long as it is wanted. */
export class Follower {
  /** Each list that was told, from the first one on. */
  readonly lists: (readonly Told[])[] = [];
  readonly crashes: Crash[] = [];
  /** How often it was connected. */
  connections = 0;
  readonly #path: string;
  #socket: Socket | undefined;
  #released = false;

  constructor(plugin: string) {
    this.#path = `/run/bulkhead/discovery/${plugin}`;
    this.#connect();
  }

  /** As told last. */
  get sandboxes(): readonly Told[] {
    return this.lists.at(-1) ?? [];
  }

  states(): string[] {
    return this.sandboxes.map(({ generation, state }) => `${generation} ${state}`);
  }

  async untilTold(what: string, holds: (sandboxes: readonly Told[]) => boolean): Promise<readonly Told[]> {
    await until(`discovery tells ${what}; ${this.states().join(', ')}`, () => holds(this.sandboxes));
    return this.sandboxes;
  }

  async crashOf(generation: number): Promise<Crash> {
    const found = (): Crash | undefined => this.crashes.find((crash) => crash.generation === generation);
    await until(`the crash token of ${generation}`, () => found() !== undefined);
    return found() as Crash;
  }

  release(): void {
    this.#released = true;
    this.#socket?.destroy();
  }

  #connect(): void {
    const socket = connect(this.#path);
    this.#socket = socket;
    let rest = '';
    socket.on('connect', () => {
      this.connections += 1;
    });
    socket.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const { sandboxes, crash } = JSON.parse(line) as { sandboxes?: Told[]; crash?: Crash };
        if (sandboxes !== undefined) this.lists.push(sandboxes);
        if (crash !== undefined) this.crashes.push(crash);
      }
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => void this.#again());
  }

  async #again(): Promise<void> {
    await pause(AGAIN_MS);
    if (!this.#released) this.#connect();
  }
}
