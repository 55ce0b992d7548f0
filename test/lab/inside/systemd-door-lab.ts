import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Owner } from '../../../src/base/owner.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { PRIVATE_SOCKET, SYSTEM_BUS_SOCKET } from '../../../src/systemd/address.ts';
import { Bus } from '../../../src/systemd/bus.ts';
import { Manager } from '../../../src/systemd/manager.ts';
import type { Property } from '../../../src/systemd/properties.ts';

const execute = promisify(execFile);

/** Runs a command and returns its output; throws on another status than 0. */
export async function run(file: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await execute(file, args, { encoding: 'utf8' });
  return stdout;
}

/** Runs one of the misdeeds of systemd-door-hostile.ts as the user nobody. */
export async function asNobody(...args: readonly string[]): Promise<string> {
  const program = fileURLToPath(new URL('./systemd-door-hostile.js', import.meta.url));
  const { stdout } = await execute(process.execPath, [program, ...args], { encoding: 'utf8', uid: 65534, gid: 65534 });
  return stdout;
}

/** Unique names that this process has on the system bus. */
export async function ownNames(): Promise<string[]> {
  const list = JSON.parse(await run('busctl', '--json=short', 'list')) as { name: string; pid: number | null }[];
  return list.filter(({ name, pid }) => pid === process.pid && name.startsWith(':')).map(({ name }) => name);
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(10);
  }
}

/** Stands between a client and a socket, and can go away and come back. */
export class SocketProxy {
  readonly path: string;
  readonly #target: string;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  constructor(path: string, target: string) {
    this.path = path;
    this.#target = target;
  }

  open(): Promise<void> {
    rmSync(this.path, { force: true });
    const server = createServer((client) => {
      const upstream = createConnection(this.#target);
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.#sockets.add(from);
        from.pipe(to);
        from.on('error', () => to.destroy());
        from.on('close', () => to.destroy());
      }
    });
    this.#server = server;
    return new Promise((resolve) => server.listen(this.path, resolve));
  }

  release(): void {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
    rmSync(this.path, { force: true });
  }
}

/** Everything that a test makes; release() also proves that nothing is left. */
export class Scene {
  readonly defects: unknown[] = [];
  readonly #made: { release(): void }[] = [];
  readonly #units: string[] = [];

  readonly onDefect = (thrown: unknown): void => {
    this.defects.push(thrown);
  };

  keep<T extends { release(): void }>(made: T): T {
    this.#made.push(made);
    return made;
  }

  bus(maxIncomingBytes?: number): Bus {
    const limit = maxIncomingBytes === undefined ? {} : { maxIncomingBytes };
    const options = { name: 'test bus', sockets: [SYSTEM_BUS_SOCKET], kind: 'bus' as const, clock: systemClock };
    return this.keep(new Bus({ ...options, onDefect: this.onDefect, ...limit }));
  }

  manager(privateSocket = PRIVATE_SOCKET, busSocket = SYSTEM_BUS_SOCKET): Manager {
    const sockets = { privateSocket, busSockets: [busSocket] };
    return this.keep(new Manager({ clock: systemClock, onDefect: this.onDefect, ...sockets }));
  }

  /** A manager that has only the system bus. */
  busManager(): Manager {
    const options = { clock: systemClock, onDefect: this.onDefect, busSockets: [SYSTEM_BUS_SOCKET] };
    return this.keep(new Manager({ ...options, privateSocket: undefined }));
  }

  /** A unit name of this test; the unit is stopped at its end. */
  unit(name: string): string {
    const unit = `${name}.service`;
    this.#units.push(unit);
    return unit;
  }

  async release(): Promise<void> {
    for (const made of this.#made.reverse()) made.release();
    await execute('systemctl', ['stop', '--quiet', 'none.target', ...this.#units]).catch(() => undefined);
    await execute('systemctl', ['reset-failed']).catch(() => undefined);
    if (this.defects.length > 0) throw new AggregateError(this.defects, 'defects were reported');
    const living = Owner.living();
    if (living.length > 0) throw new Error(`left behind: ${living.join(', ')}`);
  }
}

export function command(...words: readonly string[]): Property {
  return ['ExecStart', 'a(sasb)', [[words[0], words, false]]];
}

export const SLEEPER: readonly Property[] = [
  ['Type', 's', 'exec'],
  ['CollectMode', 's', 'inactive-or-failed'],
  command('/usr/bin/sleep', '1000'),
];
